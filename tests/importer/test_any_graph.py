"""Any random graph, loops and all kinds: an equal network, or a refusal; never anything else."""

from __future__ import annotations

import nir
import torch
from hypothesis import event, given, settings
from hypothesis import strategies as st

import mpo_snn
from mpo_snn.errors import GraphError
from mpo_snn.graph.simulate import Simulator
from tests.graph.graphs import DT
from tests.graph.test_random_graphs import drive, graphs


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.booleans().flatmap(lambda loops: graphs(loops=loops)))
def test_equal_or_refused(candidate: nir.NIRGraph) -> None:
    try:
        network = mpo_snn.from_nir(candidate, dt=DT, dtype=torch.float64)
    except GraphError as error:
        assert error.findings
        event("refused")
        return
    event("imported")
    x = torch.from_numpy(drive(3, timesteps=9))
    with torch.no_grad():
        output = mpo_snn.Unrolled(network.eval(), 9)(x)
    expected = Simulator(candidate, DT, torch.float64).run(x).output
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)
