"""One neuron layer in NIR against a float64 loop over the equations of the method."""

import nir
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.export.draft import Neuron
from mpo_snn.export.neuron_to_nir import express_neuron
from mpo_snn.graph.simulate import Simulator

C, N, T = 3, 4, 12


def slow_loop(current, beta, theta, reset, timing, gain, alpha=None):
    """The method's equations, neuron by neuron; no torch."""
    spikes = np.zeros(current.shape, bool)
    for index in np.ndindex(*current.shape[1:]):
        b, threshold = beta[index[1:]], theta[index[1:]]
        a = 0.0 if alpha is None else alpha[index[1:]]
        i, u, spk = 0.0, 0.0, False
        for t in range(current.shape[0]):
            i = a * i + current[(t, *index)] * (1 - a if gain == "decay" else 1.0)
            drive = i * (1 - b if gain == "decay" else 1.0)
            if timing == "next" and spk and reset == "zero":
                u = 0.0
            v = b * u + drive
            if timing == "next" and spk and reset == "subtract":
                v -= threshold
            spk = v > threshold
            u = v
            if timing == "step" and spk:
                u = {"zero": 0.0, "subtract": v - threshold, "none": v}[reset]
            spikes[(t, *index)] = spk
    return spikes


@settings(max_examples=120, deadline=None)
@given(
    alpha=st.none() | st.lists(st.sampled_from([0.0, 0.3, 0.5, 0.95, 1.0]), min_size=C, max_size=C),
    beta=st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.9, 0.99, 1.0]), min_size=C, max_size=C),
    theta=st.lists(st.floats(0.1, 2.0), min_size=C, max_size=C),
    reset=st.sampled_from(["zero", "subtract", "none"]),
    timing=st.sampled_from(["step", "next"]),
    gain=st.sampled_from(["unit", "decay"]),
    scalar=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_spikes_equal_the_slow_loop(alpha, beta, theta, reset, timing, gain, scalar, seed):
    shape = (C, N)
    arrays = [
        None if v is None else np.array(v[0]) if scalar else np.array(v)
        for v in (beta, theta, alpha)
    ]
    neuron = Neuron(shape, arrays[0], arrays[1], reset, timing, gain, arrays[2])
    expression = express_neuron("n", neuron, dt=1e-4)
    nodes = {
        "input": nir.Input({"input": np.array(shape)}),
        **expression.nodes,
        "output": nir.Output({"output": np.array(shape)}),
    }
    edges = [
        ("input", expression.entry),
        *expression.edges,
        (expression.spikes, "output"),
    ]
    graph = nir.NIRGraph(nodes, edges)
    current = np.random.default_rng(seed).normal(0.4, 1.5, (T, 2, *shape))
    run = Simulator(graph, 1e-4, dtype=torch.float64).run(
        torch.from_numpy(current), record="spikes"
    )
    full = [None if a is None else neuron.expand(a) for a in arrays]
    expected = slow_loop(current, full[0], full[1], reset, timing, gain, full[2])
    assert np.array_equal(run.spikes[expression.spikes].numpy(), expected)


def test_tau_gives_back_beta():
    for beta in (0.1, 0.5, 0.7, 0.9, 0.95, 0.999):
        neuron = Neuron((2,), np.array(beta), np.array(1.0), "zero", "step", "decay")
        node = express_neuron("n", neuron, dt=1e-4).nodes["n"]
        assert np.allclose(1.0 - 1e-4 / node.tau, beta, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize(("timing", "expected"), [("next", -2.0), ("step", -1.5)])
def test_feedback_of_subtraction(timing, expected):
    """beta 0.75, threshold 0.5, decay gain 0.25: next takes 0.5 off, step 0.375, through 0.25."""
    neuron = Neuron((1,), np.array(0.75), np.array(0.5), "subtract", timing, "decay")
    nodes = express_neuron("n", neuron, dt=1e-4).nodes
    assert nodes["n.reset"].scale == pytest.approx(expected, rel=1e-12)
    assert isinstance(nodes["n.membrane"], nir.LI)


@pytest.mark.parametrize(
    ("reset", "beta", "kinds"),
    [
        ("zero", 0.75, {"n": "CubaLIF"}),
        ("none", 0.75, {"n.membrane": "CubaLI", "n": "Threshold"}),
        ("subtract", 0.75, {"n.synapse": "LI", "n.membrane": "LI", "n": "Threshold"}),
        ("subtract", 1.0, {"n.synapse": "LI", "n.membrane": "I", "n": "Threshold"}),
    ],
)
def test_form_of_a_synaptic_neuron(reset, beta, kinds):
    """alpha 0.5: tau_syn = 2 dt, w_in = 2; beta 0.75: r = 4; the reset passes no synapse."""
    neuron = Neuron((1,), np.array(beta), np.array(0.5), reset, "next", "unit", alpha=np.array(0.5))
    expression = express_neuron("n", neuron, dt=1e-4)
    found = {name: type(node).__name__ for name, node in expression.nodes.items()}
    assert found.pop("n.reset", None) == ("Scale" if reset == "subtract" else None)
    assert found == kinds
    if reset == "subtract":
        assert ("n.reset", "n.membrane") in expression.edges
        assert expression.entry == "n.synapse"
        assert expression.nodes["n.reset"].scale == pytest.approx(-0.5, rel=1e-12)
    else:
        node = expression.nodes[expression.entry]
        assert (node.tau_syn, node.w_in, node.tau_mem, node.r) == pytest.approx(
            (2e-4, 2.0, 4e-4, 4.0), rel=1e-12
        )
