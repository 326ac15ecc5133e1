"""Faults of neurons that reset by subtraction: several nodes of NIR, and one node of a chip."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mpo_snn import MPOLeaky, MPOSynaptic
from mpo_snn.evaluation.faults import FaultyWires, faulty_graph
from mpo_snn.export.nir_export import export_nir
from mpo_snn.graph import Simulator
from tests.export.chip_metadata import as_of_chip
from tests.membrane_networks import INPUTS, MembraneNetwork, adapted

DT, T, SAMPLES = 1e-4, 30, 3
MODELS = ("leaky", "synaptic")
SPIKING = ("1", "3")


def neuron(model: str) -> nn.Module:
    fixed = {"reset": "subtract", "reset_timing": "step", "init_hidden": True}
    if model == "leaky":
        return MPOLeaky(0.9, 0.7, input_gain="unit", **fixed)
    return MPOSynaptic(0.8, 0.9, 0.7, input_gain="unit", **fixed)


def two_forms(model: str) -> tuple[nir.NIRGraph, nir.NIRGraph]:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(5, 20), neuron(model), nn.Linear(20, 6), neuron(model), nn.Linear(6, 3)
    ).eval()
    nn.init.uniform_(network[0].weight, 0, 0.3)
    chip = export_nir(network, (5,), DT, chip=True)
    graph = as_of_chip(chip, DT, T, "direct", "mean")
    return export_nir(network, (5,), DT).graph, graph


def run(graph: nir.NIRGraph, wires: FaultyWires | None = None, chunk: int | None = None):
    x = torch.rand(SAMPLES, 5, generator=torch.Generator().manual_seed(1)).expand(T, -1, -1)
    simulator = Simulator(graph, DT, torch.float64)
    return simulator.run(x, record="spikes", transmit=wires, chunk=chunk)


def same(one, other) -> bool:
    assert one.spikes.keys() == other.spikes.keys() == {*SPIKING}
    return all(torch.equal(one.spikes[name], other.spikes[name]) for name in SPIKING)


@pytest.mark.parametrize("chunk", [None, 7])
@pytest.mark.parametrize("kind", ["dropped_spikes", "clock_jitter"])
@pytest.mark.parametrize("model", MODELS)
def test_faults_of_wires_leave_the_reset_alone(model, kind, chunk):
    plain, chip = two_forms(model)
    assert "1.reset" in plain.nodes and "1.reset" not in chip.nodes
    clean = run(plain)
    assert same(clean, run(chip)) and min(clean.counts[name].sum() for name in SPIKING) > 20
    found = run(plain, FaultyWires(kind, 0.2, 3), chunk)
    expected = run(chip, FaultyWires(kind, 0.2, 3), chunk)
    assert same(found, expected) and not same(found, clean)
    assert torch.equal(found.spikes["1"], clean.spikes["1"])
    torch.testing.assert_close(found.output, expected.output, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "level"), [("threshold_jitter", 0.4), ("dead_neurons", 0.2), ("weight_bits", 0.01)]
)
@pytest.mark.parametrize("model", MODELS)
def test_faults_burnt_into_a_chip_are_the_same_in_both_forms(model, kind, level):
    plain, chip = two_forms(model)
    found = run(faulty_graph(plain, kind, level, 1))
    assert same(found, run(faulty_graph(chip, kind, level, 1))) and not same(found, run(plain))


@pytest.mark.parametrize("timing", ["step", "next"])
def test_what_a_reset_takes_off_moves_with_its_threshold(timing):
    """Where the spike comes, and where the membrane is read out: v - threshold s."""
    network = adapted(MembraneNetwork(reset_mechanism="subtract", reset_delay=timing == "next"))
    graph = export_nir(network, INPUTS, DT).graph
    moved = faulty_graph(graph, "threshold_jitter", 0.4, 1).nodes
    factor = moved["lif2"].threshold / graph.nodes["lif2"].threshold
    assert np.ptp(factor) > 0.1
    resets = [name for name, node in moved.items() if isinstance(node, nir.Scale)]
    assert resets == (["lif2.reset", "lif2.after"] if timing == "step" else ["lif2.reset"])
    for name in resets:
        np.testing.assert_allclose(moved[name].scale, factor * graph.nodes[name].scale)


@pytest.mark.parametrize("late", [True, False])
def test_wires_do_not_change_the_membrane_that_is_read_out(late):
    """Its own spikes travel nowhere; those of the layer before are not asked about."""
    network = adapted(MembraneNetwork(reset_mechanism="subtract", reset_delay=late))
    simulator = Simulator(export_nir(network, INPUTS, DT).graph, DT, torch.float64)
    x = 2.0 * torch.randn(T, SAMPLES, INPUTS, generator=torch.Generator().manual_seed(4))

    def last_alone(name: str, spikes: Tensor, start: int) -> Tensor:
        return torch.zeros_like(spikes) if name == "lif2" else spikes

    found = simulator.run(x, record="counts", transmit=last_alone, chunk=7)
    assert found.counts["lif2"].sum() > 5
    torch.testing.assert_close(found.output, simulator.run(x).output)
