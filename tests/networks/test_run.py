"""Every network trains, runs over time, exports to the same spikes and is evaluated."""

from __future__ import annotations

import copy

import nir
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mpo_snn.data.dataset import Dataset
from mpo_snn.encoding import encode
from mpo_snn.errors import ExportError
from mpo_snn.evaluation.evaluate import evaluate_graph
from mpo_snn.evaluation.setting import Setting
from mpo_snn.export.compare import compare
from mpo_snn.export.nir_export import export_nir
from mpo_snn.export.nir_file import write_nir
from mpo_snn.export.sources import GraphSource, NetworkSource
from mpo_snn.graph.read import read_graph
from mpo_snn.mpo import MPO
from mpo_snn.neurons import neurons_of, reset_hidden
from mpo_snn.settings import NeuronSettings
from mpo_snn.unroll import Unrolled

from .cases import CASES, CLASSES, Case


def test_trains_a_few_steps(case: Case) -> None:
    network = case.build(dropout=0.1)
    unrolled, mpo = Unrolled(network, case.timesteps), MPO(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    x, y = encode(case.pictures(), case.timesteps), torch.arange(case.batch) % CLASSES
    for _ in range(2):
        loss = functional.cross_entropy(unrolled(x).mean(0), y) + mpo.regularizer()
        optimizer.zero_grad()
        loss.backward()
        assert torch.isfinite(loss)
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        first = next(m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear))
        assert float(first.weight.grad.abs().max()) > 0.0
        optimizer.step()
        mpo.step()


def test_all_timesteps_at_once_equal_the_loop(case: Case) -> None:
    network, x = case.settled(), case.noise()
    with torch.no_grad():
        at_once = Unrolled(network, case.timesteps)(encode(x, case.timesteps))
        reset_hidden(network)
        loop = torch.stack([network(x) for _ in range(case.timesteps)])
    assert torch.allclose(at_once, loop, rtol=1e-4, atol=1e-5)
    assert not torch.equal(loop[0], loop[-1])


def proven(network: nn.Module, case: Case, path) -> nir.NIRGraph:
    """The exported graph, read back from its file, after its spikes were found equal."""
    export = export_nir(network, case.input_shape)
    write_nir(path, export.graph)
    graph = read_graph(path)
    x = torch.cat([case.pictures(), case.noise()])[: case.batch]
    proof = compare(
        NetworkSource(Unrolled(network, case.timesteps)),
        GraphSource(graph, 1e-4, export.spiking),
        x,
        timesteps=case.timesteps,
    )
    assert proof.is_equal, proof.first_divergence
    exact = proof.results[0]
    assert exact.precision == "float64"
    assert [t.differing for t in exact.layers] == [0] * len(neurons_of(network))
    assert all(0 < t.either < t.entries for t in exact.layers), "a silent layer proves nothing"
    return graph


@pytest.mark.parametrize("name", ["vgg11", "resnet18"])
def test_synaptic_neurons_with_parameters_per_channel_export_too(name: str, tmp_path) -> None:
    case = CASES[name]
    neuron = NeuronSettings(
        model="synaptic", alpha=0.3, learn_beta=True, learn_threshold=True, granularity="channel"
    )
    network = case.settled(neuron)
    generator = torch.Generator().manual_seed(0)
    for layer in neurons_of(network).values():
        assert layer.beta.numel() == layer.threshold.numel() > 1
        layer.beta.data += 0.05 * torch.rand(layer.beta.shape, generator=generator)
        layer.threshold.data *= 1 - 0.1 * torch.rand(layer.threshold.shape, generator=generator)
    graph = proven(network, case, tmp_path / "m.nir")
    assert sum(isinstance(node, nir.CubaLIF) for node in graph.nodes.values()) == len(
        neurons_of(network)
    )


def dataset(case: Case, x: Tensor) -> Dataset:
    y = torch.zeros(len(x), dtype=torch.int64)
    names = tuple(str(n) for n in range(CLASSES))
    return Dataset(case.name, x, y, x, y, names, "none")


def test_exports_the_same_spikes_and_is_evaluated(case: Case, tmp_path) -> None:
    network = case.settled()
    graph = proven(network, case, tmp_path / "m.nir")
    setting = Setting(case.name, case.timesteps, 1e-4, "direct", "mean")
    found = evaluate_graph(graph, dataset(case, case.pictures()), setting)
    analog = [c for c in found.synapses.values() if c.input_role == "analog"]
    assert [c.constant_in_time for c in analog] == [True], "the first layer alone sees the image"
    assert all(c.synops > 0 for c in found.synapses.values() if c is not analog[0])


def test_residual_sums_and_pooling_are_counted_by_hand(tmp_path) -> None:
    """Blocks 1 and 3 of ResNet-18, whose shortcuts are a 1x1 convolution and the spikes."""
    case = CASES["resnet18"]
    network = case.settled()
    export = export_nir(network, case.input_shape)
    setting = Setting(case.name, case.timesteps, 1e-4, "direct", "mean")
    found = evaluate_graph(export.graph, dataset(case, case.pictures()), setting)
    spikes = found.activity.spike_counts
    assert {name: c.input_role for name, c in found.synapses.items()} == {
        name: "analog" if name == "stem.0" else "graded" if name == "readout" else "spikes"
        for name in found.synapses
    }
    shortcut = found.synapses["blocks.2.shortcut.0"]
    before = spikes["blocks.1.neuron2"]
    assert shortcut.sources == ("blocks.1.neuron2",)
    assert shortcut.synops_dense == 16 * int(before[:, ::2, ::2].sum()), "a 1x1 kernel, stride 2"
    additions = {a.name: (a.kind, a.count) for a in found.additions}
    assert additions["blocks.1.neuron2"] == ("skip", int(spikes["blocks.0.neuron2"].sum()))
    assert additions["blocks.3.neuron2"] == ("skip", int(spikes["blocks.2.neuron2"].sum()))
    assert "blocks.2.neuron2" not in additions, "its shortcut has synapses"
    last = int(spikes["blocks.7.neuron2"].sum())
    assert additions["pool"] == ("pooling", last), "each spike lies in the one window"
    assert found.synapses["readout"].synops_dense == CLASSES * last


def test_sum_pooling_is_written_as_such(tmp_path) -> None:
    for name in ("convnet", "vgg11", "resnet19"):
        graph = proven(CASES[name].settled(pooling="sum"), CASES[name], tmp_path / f"{name}.nir")
        pools = [n for n in graph.nodes.values() if isinstance(n, nir.SumPool2d | nir.AvgPool2d)]
        assert pools and all(isinstance(n, nir.SumPool2d) for n in pools)
        nir.read(tmp_path / f"{name}.nir", type_check=True)


def test_a_sum_is_the_average_times_the_window(tmp_path) -> None:
    """The next batchnorm takes the factor out, so a fresh network fires the same spikes."""
    case = CASES["vgg11"]
    average, total = case.settled().double(), case.settled(pooling="sum").double()
    for norm in [*average.modules(), *total.modules()]:
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.eps = 1e-30
    x = encode(case.pictures().double(), case.timesteps)
    with torch.no_grad():
        outputs = []
        for network in (average.train(), total.train()):
            outputs.append(Unrolled(network, case.timesteps)(x))
    assert torch.allclose(*outputs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["convnet", "vgg16", "resnet34"])
def test_max_pooling_trains_and_is_refused_by_export(name: str) -> None:
    case = CASES[name]
    network = case.build(pooling="max")
    unrolled = Unrolled(copy.deepcopy(network), 1)
    unrolled(encode(case.noise(), 1)).sum().backward()
    message = r"layer '.*' \(MaxPool2d\): NIR has no maximum.*network.pooling average or sum"
    with pytest.raises(ExportError, match=message):
        export_nir(network, case.input_shape)
