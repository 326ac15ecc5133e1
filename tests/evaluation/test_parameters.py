"""What a graph stores, against torch modules of the same layers and against counting by hand."""

from __future__ import annotations

import nir
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

from mpo_snn.evaluation.evaluate import evaluate_graph
from mpo_snn.evaluation.neurobench import EnteringValues, neurobench_results
from mpo_snn.evaluation.parameters import Parameters, count_parameters, sum_parameters
from mpo_snn.evaluation.report import build_report
from mpo_snn.evaluation.setting import Setting
from mpo_snn.graph.inline import FlatGraph, inline
from mpo_snn.profiles.energy import load_energy_profile

SETTING = Setting("noise", 5, 1e-4, "direct", "mean")


def stored(node):
    return count_parameters(FlatGraph({"n": node}, [], [], []))["n"]


def lif(threshold):
    one = np.ones(threshold.shape)
    return nir.LIF(tau=one, r=one, v_leak=0 * one, v_threshold=threshold, v_reset=0 * one)


def test_synapses_are_the_parameters_of_torch_layers(small):
    layers = {
        "conv1": nn.Conv2d(1, 2, 3, bias=False),  # its biases in the graph are all zero
        "conv2": nn.Conv2d(2, 2, 3),
        "fc": nn.Linear(18, 4, bias=False),
        "loop": nn.Linear(4, 4, bias=False),
        "readout": nn.Linear(4, 3, bias=False),
    }
    found = count_parameters(inline(small.graph))
    for name, layer in layers.items():
        assert found[name].total == sum(one.numel() for one in layer.parameters())
    others = set(found) - set(layers)
    assert sum(found[name].total for name in others) == 0  # their constants are all the same
    assert found["conv2"] == Parameters(weights=36, biases=2)


@given(
    arrays.arrays(
        np.float64,
        st.tuples(*[st.integers(1, 3)] * 3),
        elements=st.sampled_from([0.5, 1.0]),
    )
)
def test_constants_are_as_many_as_tell_all_neurons(threshold):
    """Along an axis in which nothing changes one value is enough; one for all is none."""
    slow = 1
    for axis in range(3):
        lines = np.moveaxis(threshold, axis, 0)
        same = all((lines[i] == lines[0]).all() for i in range(len(lines)))
        slow *= 1 if same else len(lines)
    expected = Parameters(neuron_constants=0 if slow == 1 else slow)
    assert stored(lif(threshold)) == stored(nir.Threshold(threshold)) == expected


def test_a_threshold_a_channel_is_one_value_a_channel():
    assert stored(lif(np.array([1.0, 2.0, 3.0])[:, None, None] * np.ones((3, 5, 5)))).total == 3


def test_what_carries_a_reset_alone_stores_nothing(small):
    values = np.linspace(0.1, 0.3, 18).reshape(2, 3, 3)
    small.graph.nodes["lif2"].threshold = values
    small.graph.nodes["lif2.reset"].scale = -values
    found = count_parameters(inline(small.graph))
    assert (found["lif2"].total, found["lif2.reset"].total) == (18, 0)


@pytest.mark.parametrize("is_varied", [False, True])
def test_report_and_neurobench_say_the_same(small, tmp_path, is_varied):
    if is_varied:
        small.graph.nodes["lif1"].tau = (
            small.graph.nodes["lif1"].tau * np.array([1, 2])[:, None, None]
        )
    path = tmp_path / "model.nir"
    path.write_bytes(b"")
    entering = EnteringValues(small.graph)
    evaluation = evaluate_graph(small.graph, small.dataset, SETTING, watch=entering)
    report = build_report(
        evaluation, load_energy_profile("45nm-float32"), None, graph_file=path, command="x"
    )
    theirs = neurobench_results(small.graph, evaluation, entering)
    total, summary = report["total"], report["summary"]
    assert total["parameters"] == summary["parameters"] == theirs["ParameterCount"]
    assert total["memory_bytes"] == summary["memory_bytes"] == theirs["Footprint"]
    assert total["neuron_constants"] == (2 if is_varied else 0)
    assert total["weights"] == sum(one["weights"] for one in report["synapses"])
    for parts in (report["layers"], report["graph"]["nodes"]):
        for key in ("weights", "biases", "neuron_constants", "parameters", "memory_bytes"):
            assert sum(one[key] for one in parts) == total[key]
    assert sum_parameters(evaluation.parameters.values()).total == total["parameters"]
