from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np
import pytest

from mpo_snn.evaluation.roles import assign_roles
from mpo_snn.graph.inline import FlatGraph, inline

ONE = np.ones(4)
NODES = {
    "in": nir.Input((4,)),
    "fc": nir.Linear(np.eye(4)),
    "fc2": nir.Linear(np.eye(4)),
    "lif": nir.LIF(tau=ONE, r=ONE, v_leak=ONE, v_threshold=ONE, v_reset=ONE),
    "if": nir.IF(r=ONE, v_threshold=ONE, v_reset=ONE),
    "cuba": nir.CubaLIF(tau_syn=ONE, tau_mem=ONE, r=ONE, v_leak=ONE, v_threshold=ONE, v_reset=ONE),
    "threshold": nir.Threshold(ONE),
    "li": nir.LI(tau=ONE, r=ONE, v_leak=ONE),
    "cubali": nir.CubaLI(tau_syn=ONE, tau_mem=ONE, r=ONE, v_leak=ONE),
    "i": nir.I(r=ONE),
    "scale": nir.Scale(ONE),
    "flatten": nir.Flatten({"input": np.array([4])}, start_dim=0),
    "delay": nir.Delay(ONE),
    "pool": nir.SumPool2d(np.ones(2), np.ones(2), np.zeros(2)),
    "out": nir.Output((4,)),
}


def roles(*chains):
    edges = [edge for chain in chains for edge in pairwise(chain.split())]
    names = dict.fromkeys(name for edge in edges for name in edge)
    return assign_roles(FlatGraph({n: NODES[n] for n in names}, edges, ["in"], ["out"]))


@pytest.mark.parametrize("neuron", ["lif", "if", "cuba", "threshold"])
def test_spiking_nodes_put_out_spikes_whatever_they_get(neuron):
    assert roles(f"in {neuron} fc out").output[neuron] == "spikes"
    assert roles(f"in {neuron} fc out").input["fc"] == "spikes"


@pytest.mark.parametrize("neuron", ["li", "cubali", "i"])
def test_membranes_are_analog_even_if_fed_by_spikes(neuron):
    assert roles(f"in lif {neuron} fc out").input["fc"] == "analog"


@pytest.mark.parametrize(
    ("between", "role"),
    [
        ("flatten", "spikes"),
        ("delay", "spikes"),
        ("scale", "graded"),
        ("pool", "graded"),
        ("pool flatten", "graded"),
        ("flatten delay scale", "graded"),
        ("fc2", "analog"),
    ],
)
def test_what_a_node_makes_of_spikes(between, role):
    assert roles(f"in lif {between} fc out").input["fc"] == role


@pytest.mark.parametrize("between", ["flatten", "scale", "pool", "delay", "fc2"])
def test_analog_stays_analog(between):
    assert roles(f"in {between} fc out").input["fc"] == "analog"


def test_sums():
    assert roles("in lif fc out", "in if fc").input["fc"] == "graded"
    assert roles("in lif fc out", "in if scale fc").input["fc"] == "graded"
    assert roles("in lif fc out", "in fc").input["fc"] == "analog"
    assert roles("in lif flatten fc out", "if flatten", "in fc2 if", "fc2 flatten").input["fc"] == (
        "analog"
    )


def test_loops_are_resolved():
    found = roles("in fc lif fc2 lif out")
    assert found.input == {"fc": "analog", "lif": "analog", "fc2": "spikes", "out": "spikes"}
    found = roles("in lif delay scale delay", "scale fc out")
    assert found.input["fc"] == "graded"


def test_reset_feedback_is_left_out_and_nothing_else():
    found = roles("in fc li threshold scale li", "threshold fc2 out")
    assert found.feedback == {"scale"}
    assert found.input["fc2"] == "spikes"
    assert roles("in fc li threshold scale fc2 out").feedback == frozenset()
    assert roles("in fc lif scale lif", "lif fc2 out").feedback == frozenset()
    assert roles("in fc li threshold scale li", "scale fc2 out").feedback == frozenset()


def test_what_is_constant_in_time():
    found = roles("in scale fc fc2 lif out")
    assert {"fc", "fc2", "lif"} <= found.constant
    assert "out" not in found.constant
    assert "fc" not in roles("in delay fc out").constant
    assert "fc" not in roles("in threshold fc out", "in li fc").constant
    assert "fc" not in roles("in fc lif fc out").constant


def test_in_a_subgraph():
    inner = nir.NIRGraph(
        {"input": nir.Input((4,)), "lif": NODES["lif"], "output": nir.Output((4,))},
        [("input", "lif"), ("lif", "output")],
    )
    outer = nir.NIRGraph(
        {"input": nir.Input((4,)), "sub": inner, "fc": NODES["fc"], "output": nir.Output((4,))},
        [("input", "sub"), ("sub", "fc"), ("fc", "output")],
        type_check=False,
    )
    assert assign_roles(inline(outer)).input["fc"] == "spikes"
