"""A layer costs the same however its file writes it: zero-padded, as NIR has it, as it was trained.

Weights lie on a grid, so that all of them fire the same spikes in float32.
"""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from mpo_snn import MPOLeaky
from mpo_snn.data.dataset import Dataset
from mpo_snn.evaluation.evaluate import evaluate_graph
from mpo_snn.evaluation.neurobench import EnteringValues, neurobench_results
from mpo_snn.evaluation.parameters import sum_parameters
from mpo_snn.evaluation.report import build_report
from mpo_snn.evaluation.setting import Setting
from mpo_snn.export.for_reader import export_for_reader, reader_named
from mpo_snn.export.nir_export import DEFAULT_DT, export_nir
from mpo_snn.export.nir_file import write_nir
from mpo_snn.graph.read import read_graph
from mpo_snn.profiles.energy import load_energy_profile

IMAGE, LINE = (4, 6, 6), (4, 9)
SETTING = Setting("noise", 4, DEFAULT_DT, "direct", "mean")
LAYERS = {
    "grouped": lambda: nn.Conv2d(4, 4, 3, padding=1, groups=2),
    "depthwise": lambda: nn.Conv2d(4, 8, 3, padding=1, stride=2, groups=4, bias=False),
    "wide": lambda: nn.Conv2d(4, 4, (1, 5), padding=(0, 2), bias=False),
    "high": lambda: nn.Conv2d(4, 6, (5, 1), padding=(2, 0), stride=2),
    "grouped and wide": lambda: nn.Conv2d(4, 4, (1, 3), padding=(1, 2), dilation=(1, 2), groups=4),
    "plain": lambda: nn.Conv2d(4, 4, 3, padding=1),
    "line": lambda: nn.Conv1d(4, 8, 3, padding=1, groups=4),
}


def network(layer, zeros=0.0):
    """The layer on samples, again on spikes where channels allow, and a dense one; neurons between.

    Args:
        layer: makes the convolution.
        zeros: share of the parameters that are set to zero.
    """
    parts = [layer()]
    shape = LINE if isinstance(parts[0], nn.Conv1d) else IMAGE
    if parts[0].out_channels == shape[0]:
        parts.append(layer())
    body = [m for part in parts for m in (part, MPOLeaky(0.5, 0.26, init_hidden=True))]
    size = nn.Sequential(*parts)(torch.zeros(1, *shape)).numel()
    net = nn.Sequential(*body, nn.Flatten(), nn.Linear(size, 3))
    generator = torch.Generator().manual_seed(1)
    for parameter in net.parameters():
        grid = torch.randint(1, 5, parameter.shape, generator=generator) / 8
        sign = torch.where(torch.rand(parameter.shape, generator=generator) < 0.4, -1, 1)
        kept = torch.rand(parameter.shape, generator=generator) >= zeros
        parameter.data = grid * sign * kept
    return net.eval(), shape


def evaluated(graph, shape, path):
    x = torch.randint(0, 9, (7, *shape), generator=torch.Generator().manual_seed(2)) / 8
    y = torch.arange(7) % 3
    dataset = Dataset("noise", x, y, x, y, ("a", "b", "c"), "eighths")
    entering = EnteringValues(graph)
    found = evaluate_graph(graph, dataset, SETTING, watch=entering)
    report = build_report(
        found, load_energy_profile("45nm-float32"), None, graph_file=path, command="x"
    )
    return found, report, neurobench_results(graph, found, entering)


def layers_of(net, shape):
    """Name of each layer with weights: weights, biases other than zero, products of one pass."""
    found, x = {}, torch.zeros(1, *shape)
    for name, module in net.named_children():
        if isinstance(module, nn.Linear):
            products = module.weight.numel()
        elif isinstance(module, nn.Conv1d | nn.Conv2d):
            convolve = functional.conv1d if isinstance(module, nn.Conv1d) else functional.conv2d
            ones, every = torch.ones_like(x), torch.ones_like(module.weight)
            where = (module.stride, module.padding, module.dilation, module.groups)
            products = int(convolve(ones, every, None, *where).sum())
        x = x if isinstance(module, MPOLeaky) else module(x)
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            biases = 0 if module.bias is None or not module.bias.any() else module.bias.numel()
            found[name] = (module.weight.numel(), biases, products)
    return found


@pytest.mark.parametrize("zeros", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("kind", LAYERS)
def test_the_file_the_native_form_and_the_trained_layer_cost_the_same(kind, zeros, tmp_path):
    net, shape = network(LAYERS[kind], zeros)
    path = tmp_path / "model.nir"
    write_nir(path, export_nir(net, shape).graph)
    native = export_nir(net, shape, keep_convolutions=True).graph
    ours, theirs = (evaluated(g, shape, path) for g in (read_graph(path), native))

    assert ours[0].synapses == theirs[0].synapses
    assert ours[0].parameters == theirs[0].parameters
    assert ours[1]["summary"] == theirs[1]["summary"]
    assert ours[1]["total"] == theirs[1]["total"]
    assert ours[2] == theirs[2]

    trained = layers_of(net, shape)
    for name, (weights, biases, products) in trained.items():
        count, stored = ours[0].synapses[name], ours[0].parameters[name]
        assert (count.weights, count.dense_mac) == (weights, products)
        assert (stored.weights, stored.biases) == (weights, biases)
        zero = int((net.get_submodule(name).weight == 0).sum())
        assert count.zero_weights == zero
    assert ours[1]["total"]["dense_mac_per_inference"] == sum(one[2] for one in trained.values())
    assert ours[1]["total"]["memory_bytes"] == 4 * sum(w + b for w, b, _ in trained.values())
    if zeros == 0.0:
        assert ours[1]["total"]["synops_per_inference"] > 0
        assert ours[1]["summary"]["seei"] > 0


@pytest.mark.parametrize("reader", ["portable", "snntorch", "norse", "spikingjelly", "nirtorch"])
@pytest.mark.parametrize("kind", ["grouped", "wide"])
def test_files_for_readers_cost_the_same(kind, reader, tmp_path):
    net, shape = network(LAYERS[kind])
    plain, reader = export_nir(net, shape), reader_named(reader)
    path = tmp_path / "model.nir"
    graph = export_for_reader(plain, reader, DEFAULT_DT).graph
    write_nir(path, graph, reader.nir_version)
    found = evaluated(read_graph(path), shape, path)[0]
    for name, (weights, _, products) in layers_of(net, shape).items():
        assert (found.synapses[name].weights, found.synapses[name].dense_mac) == (weights, products)
        assert found.parameters[name].weights == weights


def test_nothing_is_guessed_of_a_file_that_says_nothing(tmp_path):
    """Zeros that nobody named padding are weights: a pruned layer may look like a grouped one."""
    net, shape = network(LAYERS["grouped"])
    graph = export_nir(net, shape).graph
    graph.metadata.clear()
    found = evaluated(graph, shape, _empty(tmp_path))[0]
    assert found.synapses["0"].weights == np.size(graph.nodes["0"].weight) == 144


def test_a_layer_that_learnt_in_its_padding_counts_as_dense(tmp_path):
    net, shape = network(LAYERS["wide"])
    graph = export_nir(net, shape).graph
    graph.nodes["0"].weight[0, 0, 0, 0] = 0.125
    found = evaluated(graph, shape, _empty(tmp_path))[0]
    assert found.synapses["0"].weights == 400 and found.synapses["2"].weights == 80


def test_a_network_of_plain_layers_is_written_as_ever():
    net, shape = network(LAYERS["plain"])
    assert export_nir(net, shape).graph.metadata == {}


def test_no_node_has_metadata_which_nir_1_0_4_would_refuse():
    net, shape = network(LAYERS["grouped and wide"])
    plain = export_nir(net, shape)
    for graph in (plain.graph, export_for_reader(plain, reader_named("norse"), DEFAULT_DT).graph):
        assert all(node.metadata == {} for node in graph.nodes.values())


def test_the_word_stays_through_nir_itself(tmp_path):
    net, shape = network(LAYERS["grouped and wide"])
    path = tmp_path / "model.nir"
    nir.write(path, export_nir(net, shape).graph)
    nir.write(path, nir.read(path))
    found = evaluated(read_graph(path), shape, path)[0]
    assert sum_parameters(found.parameters.values()).weights == sum(
        weights for weights, _, _ in layers_of(net, shape).values()
    )


def _empty(folder):
    path = folder / "model.nir"
    path.write_bytes(b"")
    return path
