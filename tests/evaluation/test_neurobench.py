"""NeuroBench's rules, against counting the way NeuroBench does: ones through the layers."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mpo_snn.encoding import encode
from mpo_snn.evaluation.evaluate import evaluate_graph
from mpo_snn.evaluation.neurobench import EnteringValues, neurobench_results
from mpo_snn.evaluation.setting import Setting
from mpo_snn.graph.simulate import Simulator

DT, TIMESTEPS, BATCH = 1e-4, 5, 4


@pytest.fixture
def setting():
    return Setting(
        dataset="noise",
        timesteps=TIMESTEPS,
        dt=DT,
        encoding="direct",
        readout="mean",
        batch_size=BATCH,
    )


def entering_by_hand(graph, x):
    """What enters each synaptic node of the small graph, from recorded spikes: [T, B, ...]."""
    encoded = encode(x, TIMESTEPS, "direct")
    run = Simulator(graph, DT).run(encoded, record="spikes")
    spikes = {name: s.float() for name, s in run.spikes.items()}
    pooled = functional.avg_pool2d(spikes["lif1"].flatten(0, 1), 2).unflatten(0, (TIMESTEPS, -1))
    return {
        "conv1": encoded,
        "conv2": pooled,
        "fc": spikes["lif2"].flatten(2),
        "loop": spikes["lif3"],  # its synapses work in the step of the spike
        "readout": spikes["lif3"],
    }


def operations(node, values):
    """Products of nonzero values and nonzero weights, by running the layer on ones."""
    weight = (torch.as_tensor(node.weight) != 0).double()
    ones = (values != 0).double()
    if weight.ndim == 2:
        return int(functional.linear(ones, weight).sum())
    return int(functional.conv2d(ones, weight, padding=tuple(node.padding)).sum())


@pytest.mark.parametrize("is_binary", [False, True])
def test_operations_are_those_of_ones_through_the_layers(small, setting, is_binary):
    dataset = small.dataset
    dataset.test_x[:, :, 2:4] = 0.0
    if is_binary:
        dataset.test_x[:] = dataset.test_x.round()
    entering = EnteringValues(small.graph)
    evaluation = evaluate_graph(small.graph, dataset, setting, watch=entering)
    found = neurobench_results(small.graph, evaluation, entering)["SynapticOperations"]
    expected = {"Effective_MACs": 0, "Effective_ACs": 0}
    for x in dataset.test_x.split(BATCH):
        for name, values in entering_by_hand(small.graph, x).items():
            for at_step in values:
                is_spikes = set(at_step.unique().tolist()) <= {-1.0, 0.0, 1.0}
                kind = "Effective_ACs" if is_spikes else "Effective_MACs"
                expected[kind] += operations(small.graph.nodes[name], at_step)
    samples = len(dataset.test_x)
    assert expected["Effective_ACs"] > 0
    assert found["Effective_MACs"] * samples == pytest.approx(expected["Effective_MACs"], rel=1e-12)
    assert found["Effective_ACs"] * samples == pytest.approx(expected["Effective_ACs"], rel=1e-12)


def test_what_is_watched_changes_nothing(small, setting):
    alone = evaluate_graph(small.graph, small.dataset, setting)
    watched = evaluate_graph(small.graph, small.dataset, setting, watch=EnteringValues(small.graph))
    assert watched.synapses == alone.synapses
    assert watched.activity.correct == alone.activity.correct


def test_static_figures(small, setting):
    entering = EnteringValues(small.graph)
    evaluation = evaluate_graph(small.graph, small.dataset, setting, watch=entering)
    found = neurobench_results(small.graph, evaluation, entering)
    weights = [small.graph.nodes[n].weight for n in ("conv1", "conv2", "fc", "loop", "readout")]
    size, zeros = sum(w.size for w in weights), sum((w == 0).sum() for w in weights)
    biases = small.graph.nodes["conv2"].bias.size  # the others are zero
    assert found["ParameterCount"] == size + biases
    assert found["Footprint"] == 4 * (size + biases)
    assert found["ConnectionSparsity"] == round(zeros / size, 4)
    assert found["ActivationSparsity"] == 1 - evaluation.activity.network_density


def test_a_chunk_of_time_stands_for_the_whole(small):
    x = encode(small.dataset.test_x, TIMESTEPS, "direct")
    whole, cut = EnteringValues(small.graph), EnteringValues(small.graph)
    Simulator(small.graph, DT).run(x, watch=whole)
    Simulator(small.graph, DT).run(x, watch=cut, chunk=2)
    for name in whole.names:
        assert torch.equal(whole.binary[name], cut.binary[name])
        assert torch.equal(whole.other[name], cut.other[name])
