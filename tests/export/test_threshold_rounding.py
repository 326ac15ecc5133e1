"""Thresholds rounded to float32, where readers fire at equality: units are exact, bounds hold."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interop.graphs import DT
from mpo_snn.errors import ExportError
from mpo_snn.export.compare import compare
from mpo_snn.export.float32_files import rounding_of_file
from mpo_snn.export.foldings.above_threshold import next_float32
from mpo_snn.export.foldings.flow import Flow, with_fields
from mpo_snn.export.for_reader import export_for_reader, reader_named
from mpo_snn.export.nir_export import export_nir
from mpo_snn.export.own_network import export_network
from mpo_snn.export.sources import GraphSource, NetworkSource
from mpo_snn.export.threshold_rounding import FLOAT32_STEP, ThresholdRounding
from mpo_snn.graph.read import read_graph
from mpo_snn.unroll import Unrolled
from tests.export.networks import Dense, T, settled
from tests.graph.graphs import graph, ports

ZERO = {"reset": "zero"}
STEP = {"reset": "subtract", "reset_timing": "step"}
RESETS = {"spikingjelly": [ZERO], "sinabs": [ZERO, STEP], "rockpool": [STEP]}
CASES = [(reader, reset) for reader, resets in RESETS.items() for reset in resets]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("rounding")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    case=st.sampled_from(CASES),
    beta=st.floats(0.05, 0.99),
    threshold=st.floats(0.05, 3.0),
    gain=st.sampled_from(("decay", "unit")),
)
def test_no_leak_threshold_or_gain_is_refused_by_rounding(
    folder, case, beta, threshold, gain
) -> None:
    reader, reset = case
    network, samples = settled(Dense, beta=beta, threshold=threshold, input_gain=gain, **reset)
    path = folder / "model.nir"
    proof = export_network(network, path, samples, timesteps=T, reader=reader).proof
    assert proof.is_equal
    if reset is ZERO:
        exact = proof.equivalence.results[0]
        assert max(layer.replay.membrane_difference for layer in exact.layers) < 1e-9
    assert rounding_of_file(read_graph(path)) is not None


@pytest.mark.parametrize("beta", (0.05, 0.3, 0.6, 0.9, 0.95, 0.99))
@pytest.mark.parametrize("name", RESETS)
def test_the_unit_is_the_factor_of_the_folding_to_the_last_digits(name: str, beta: float) -> None:
    reset = RESETS[name][-1]
    network, _ = settled(Dense, beta=beta, input_gain="decay", **reset)
    reader = reader_named(name)
    dt = reader.dt or DT
    plain = export_nir(network, Dense.input_shape, dt)
    export = export_for_reader(plain, reader, dt)
    factor = 1.0 - float(np.float32(beta))
    for layer in plain.spiking:
        np.testing.assert_allclose(export.units[layer].numpy(), factor, rtol=1e-12)
    assert export.rounding == ThresholdRounding(units=False, subtracts=reset is STEP)


def test_thresholds_that_float32_holds_leave_nothing_to_allow() -> None:
    network, _ = settled(Dense, beta=0.5, threshold=0.5, input_gain="decay", **ZERO)
    plain = export_nir(network, Dense.input_shape, DT)
    assert export_for_reader(plain, reader_named("spikingjelly"), DT).rounding is None


def test_damage_as_small_as_the_rounding_is_found_where_neurons_reset_to_zero() -> None:
    network, samples = settled(Dense, beta=0.6, input_gain="decay", **ZERO)
    plain = export_nir(network, Dense.input_shape, DT)
    reader = reader_named("spikingjelly")
    export = export_for_reader(plain, reader, DT)
    flow = reader.as_read(Flow.of(export.graph, DT))
    node = flow.nodes["fc1"]
    damaged = flow.with_node("fc1", with_fields(node, weight=node.weight * (1.0 + 6e-8)))
    for one, equal in ((flow, True), (damaged, False)):
        source = GraphSource(one.graph(), DT, plain.spiking, units=export.units)
        truth = NetworkSource(Unrolled(network, T))
        found = compare(truth, source, samples, T, rounding=export.rounding)
        assert found.is_equal == equal


def counting(threshold: float) -> nir.NIRGraph:
    """One neuron that adds up its input and resets to zero."""
    one = np.ones(1)
    neuron = nir.IF(one / DT, one * threshold, one * 0.0)
    nodes = {**ports((1,), (1,)), "fc": nir.Linear(np.eye(1)), "n": neuron}
    return graph(nodes, [("input", "fc"), ("fc", "n"), ("n", "output")])


def test_a_membrane_between_a_threshold_and_its_float32_is_rounding_and_no_further_one() -> None:
    exact = 0.1
    rounded = float(np.nextafter(np.float32(next_float32(exact)), np.float32(-np.inf)))
    between = torch.tensor([[(rounded + exact) / 2]], dtype=torch.float64)
    allowed = ThresholdRounding(units=False, subtracts=False)
    assert 0.0 < 1.0 - rounded / exact < FLOAT32_STEP
    for threshold, rounding, equal in (
        (rounded, allowed, True),
        (rounded, None, False),
        (0.0999, allowed, False),
    ):
        first, second = (GraphSource(counting(value), DT) for value in (exact, threshold))
        sample = between if threshold == rounded else torch.full_like(between, 0.09995)
        found = compare(first, second, sample, 1, rounding=rounding)
        assert found.results[0].layers[0].replay.roots == 1
        assert found.is_equal == equal


def test_what_is_subtracted_is_allowed_for_each_spike_before() -> None:
    spikes = torch.tensor([1, 0, 1, 1], dtype=torch.int16).reshape(4, 1, 1)
    both = ThresholdRounding(units=True, subtracts=True)
    assert (both.of_membranes(spikes).flatten() / FLOAT32_STEP).tolist() == [2, 2, 3, 4]
    resets = ThresholdRounding(units=False, subtracts=False)
    assert not resets.of_membranes(spikes).any()
    assert (resets.of_spikes(spikes) == FLOAT32_STEP).all()


def test_the_proof_says_what_is_allowed(folder) -> None:
    network, samples = settled(Dense, beta=0.6, input_gain="decay", **STEP)
    path = folder / "told.nir"
    proof = export_network(network, path, samples, timesteps=T, reader="rockpool").proof
    (note,) = proof.notes
    assert "as run by rockpool 3.1.0 states thresholds in float32" in note
    assert "1.2e-07 of the threshold in float64, and as much for each spike before." in note
    with pytest.raises(ExportError, match="cannot write for rockpool"):
        export_network(settled(Dense, **ZERO)[0], path, samples, timesteps=T, reader="rockpool")
