"""Graphs whose output is a membrane: the network is read out by it, and back in NIR it is one."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from hypothesis import event, given, settings

import mpo_snn
from mpo_snn.export.nir_export import export_nir
from mpo_snn.graph.simulate import Simulator
from tests.graph.graphs import DT, affine, chain, full, graph, li, lif, ports
from tests.importer.random_graphs import Drawn, membrane_graphs
from tests.importer.test_round_trip import T, run_both, samples

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)


@EXAMPLES
@given(membrane_graphs())
def test_the_network_gives_the_membrane_of_the_graph(drawn: Drawn) -> None:
    both = run_both(drawn)
    with torch.no_grad():
        looped = torch.stack([both.network(step) for step in both.x])
    event(f"gain in front: {'readout_gain' in dict(both.network.named_modules())}")
    for name, spikes in both.expected.spikes.items():
        assert torch.equal(spikes, both.spikes[name].bool()), name
    torch.testing.assert_close(both.output, both.expected.output, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(looped, both.expected.output, rtol=1e-12, atol=1e-12)


@EXAMPLES
@given(membrane_graphs())
def test_exported_and_imported_again_it_is_the_same(drawn: Drawn) -> None:
    x = samples(drawn)
    expected = Simulator(drawn.graph, DT, torch.float64).run(x).output
    source = drawn.graph
    for _ in range(2):
        network = mpo_snn.from_nir(source, dt=DT, dtype=torch.float64)
        source = export_nir(network, network.input_shape, network.dt).graph
        found = Simulator(source, DT, torch.float64).run(x).output
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
    assert [source_ for source_, end in source.edges if end == "output"] == ["readout"]


@pytest.mark.parametrize("gain", [1.0, 3.0], ids=["decay", "unit"])
def test_usual_gains_come_back_as_they_were(gain: float) -> None:
    readout = nir.LI(full((2,), 3 * DT), full((2,), gain), full((2,), 0.0))
    network = mpo_snn.from_nir(chain((2,), n=lif(), o=readout), dt=DT, dtype=torch.float64)
    nodes = export_nir(network, (2,), DT).graph.nodes
    assert list(nodes) == ["input", "n", "o", "output"]
    np.testing.assert_allclose(nodes["o"].tau, readout.tau, rtol=1e-12)
    np.testing.assert_allclose(nodes["o"].r, readout.r, rtol=1e-12)


def test_a_constant_current_goes_into_the_bias_in_front() -> None:
    readout = nir.LI(full((2,), 3 * DT), full((2,), 2.0), full((2,), 0.3))
    source = chain((2,), n=lif(), fc=affine(np.eye(2)), o=readout)
    network = mpo_snn.from_nir(source, dt=DT, dtype=torch.float64).eval()
    x = torch.ones(T, 1, 2, dtype=torch.float64)
    with torch.no_grad():
        found = mpo_snn.Unrolled(network, T)(x)
    torch.testing.assert_close(found, Simulator(source, DT, torch.float64).run(x).output)


def test_it_trains_and_nobody_learns_a_threshold_that_is_not_read() -> None:
    generator = np.random.default_rng(0)
    source = chain((2,), (3,), n=lif(), fc=affine(generator.normal(size=(3, 2))), o=li((3,)))
    network = mpo_snn.from_nir(source, dt=DT, learn_threshold=True)
    assert [k for k, _ in network.named_parameters() if "threshold" in k] == ["n.threshold"]
    mpo, unrolled = mpo_snn.MPO(network), mpo_snn.Unrolled(network.train(), T)
    loss = unrolled(torch.rand(T, 8, 2) * 3)[-1].square().sum() + mpo.regularizer()
    loss.backward()
    mpo.step(progress=0.5)
    assert float(network.get_submodule("fc").weight.grad.abs().sum()) > 0  # type: ignore[union-attr]
    assert float(network.get_submodule("n").threshold.grad.abs().sum()) > 0  # type: ignore[union-attr]


def test_the_layer_that_multiplies_takes_a_name_that_is_free() -> None:
    readout = nir.LI(full((2,), 3 * DT), full((2,), 1.7), full((2,), 0.0))
    source = chain((2,), n=lif(), o_gain=nir.Scale(full((2,), 2.0)), o=readout)
    network = mpo_snn.from_nir(source, dt=DT)
    assert {"n", "o_gain", "o_gain_", "o"} <= dict(network.named_modules()).keys()


def test_a_membrane_that_is_added_to_something_is_no_read_out() -> None:
    nodes = {**ports((2,)), "n": lif(), "o": li()}
    edges = [("input", "n"), ("n", "o"), ("o", "output"), ("n", "output")]
    with pytest.raises(mpo_snn.MpoError, match=r"'o' \(LI\) shows its membrane to 'output', and"):
        mpo_snn.from_nir(graph(nodes, edges), dt=DT)
