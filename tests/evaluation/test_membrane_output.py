"""Counts of a graph whose output is a membrane, against snnTorch's own loop."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mpo_snn.data.dataset import Dataset
from mpo_snn.errors import RecipeError
from mpo_snn.evaluation.evaluate import evaluate_graph
from mpo_snn.evaluation.parameters import sum_parameters
from mpo_snn.evaluation.setting import Setting
from mpo_snn.export.nir_export import export_nir
from tests.membrane_networks import HIDDEN, INPUTS, OUTPUTS, MembraneNetwork, adapted, loop

DT, T, SAMPLES = 1e-4, 8, 21
SETTING = Setting("noise", T, DT, "direct", "mean", batch_size=8)
FORMS = [("none", True), ("subtract", True), ("subtract", False)]


def noise() -> Dataset:
    generator = torch.Generator().manual_seed(4)
    x = 2.0 * torch.randn(SAMPLES, INPUTS, generator=generator)
    y = torch.randint(OUTPUTS, (SAMPLES,), generator=generator)
    return Dataset("noise", x, y, x, y, ("a", "b", "c"), "normal")


def evaluated(reset: str, late: bool):
    network = adapted(MembraneNetwork(reset_mechanism=reset, reset_delay=late))
    data, hidden = noise(), []
    x = data.test_x.double().expand(T, -1, -1)
    hook = network.lif1.register_forward_hook(lambda _m, _a, out: hidden.append(out[0]))
    with torch.no_grad():
        membranes, spikes = loop(network, x)
    hook.remove()
    export = export_nir(network, INPUTS, DT)
    return evaluate_graph(export.graph, data, SETTING), membranes, spikes, torch.stack(hidden)


@pytest.mark.parametrize(("reset", "late"), FORMS)
def test_answers_and_operations(reset: str, late: bool) -> None:
    evaluation, membranes, spikes, hidden = evaluated(reset, late)
    assert 0 < int(hidden.sum()) < hidden.numel() and 0 < int(spikes.sum()) < spikes.numel()
    activity, y = evaluation.activity, noise().test_y
    assert activity.correct == int((membranes.mean(0).argmax(1) == y).sum())
    assert activity.spikes("lif1") == int(hidden.sum())
    assert ("lif2" in activity.spike_counts) == (reset == "subtract")
    if reset == "subtract":
        assert activity.spikes("lif2") == int(spikes.sum())
    assert evaluation.synapses["fc2"].synops == OUTPUTS * int(hidden.sum())
    assert evaluation.additions == ()
    layers = {layer.name: layer for layer in evaluation.layers}
    last = layers["output" if reset == "none" else "lif2"]
    assert set(layers) == {"lif1", last.name}
    assert (last.membranes, last.synapses) == (OUTPUTS, ("fc2",))
    assert last.neurons == (None if reset == "none" else OUTPUTS)
    total = sum((evaluation.operations(layer).updates for layer in layers.values()), 0.0)
    assert total == T * (HIDDEN + OUTPUTS)


@pytest.mark.parametrize(("reset", "late"), FORMS)
def test_the_threshold_is_stored_once(reset: str, late: bool) -> None:
    network = adapted(MembraneNetwork(reset_mechanism=reset, reset_delay=late))
    network.lif2.threshold = torch.tensor([0.2, 0.3, 0.4], dtype=torch.float64)
    graph = export_nir(network, INPUTS, DT).graph
    found = sum_parameters(evaluate_graph(graph, noise(), SETTING).parameters.values())
    assert found.neuron_constants == (0 if reset == "none" else OUTPUTS)


def test_spikes_cannot_be_counted_where_the_output_is_a_membrane() -> None:
    for reset, late in FORMS:
        network = adapted(MembraneNetwork(reset_mechanism=reset, reset_delay=late))
        graph = export_nir(network, INPUTS, DT).graph
        with pytest.raises(RecipeError, match="its output is not the spikes"):
            evaluate_graph(graph, noise(), replace(SETTING, readout="spike_count"))
