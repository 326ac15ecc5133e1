"""Synapses as readers compute them that decay exactly."""

from __future__ import annotations

import nir
import numpy as np
import pytest

from interop.graphs import DT
from mpo_snn.export.foldings.flow import Flow
from mpo_snn.export.foldings.hidden_synapse import read_synaptic
from tests.graph.graphs import graph, ports


def read(tau_syn: float, beta: float = 0.5) -> nir.CubaLIF:
    """The neuron that such a reader runs, one of it, its dt in r = tau_mem / dt - 1."""
    tau_mem = -DT / np.log(beta)
    values = {
        "tau_syn": tau_syn,
        "tau_mem": tau_mem,
        "r": tau_mem / DT - 1.0,
        "v_leak": 0.0,
        "v_threshold": 1.0,
        "v_reset": 0.0,
        "w_in": 1.0,
    }
    neuron = nir.CubaLIF(**{key: np.full(1, value) for key, value in values.items()})
    nodes = {**ports((1,), (1,)), "n": neuron}
    flow = Flow.of(graph(nodes, [("input", "n"), ("n", "output")]), DT)
    return read_synaptic(flow).nodes["n"]


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.99])
def test_a_step_of_the_synapse(alpha: float) -> None:
    found = read(-DT / np.log(alpha))
    assert 1.0 - DT / found.tau_syn[0] == pytest.approx(alpha)
    assert DT * found.w_in[0] / found.tau_syn[0] == pytest.approx(alpha)


def test_a_synapse_that_never_decays() -> None:
    found = read(DT * 2.0**60)
    assert 1.0 - DT / found.tau_syn[0] == 1.0
    assert DT * found.w_in[0] / found.tau_syn[0] == pytest.approx(1.0)
