"""Leaks and thresholds that are trained: they move, none decays, the file has their values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mpo_snn.errors import RecipeError
from mpo_snn.export.for_reader import export_for_reader
from mpo_snn.export.proof import export_run, metadata_of, prove_export
from mpo_snn.export.readers import READERS
from mpo_snn.networks import build_network
from mpo_snn.settings import NeuronSettings
from mpo_snn.training.fit import fit, resume
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.rundir import open_run
from mpo_snn.training.schedule import build_optimizer

NAMES = ("alpha", "beta", "threshold")


def recipe_of(tiny: Recipe, granularity: Any, readout: Any = "mean") -> Recipe:
    neuron = NeuronSettings(
        model="synaptic",
        alpha=0.4,
        learn_alpha=True,
        learn_beta=True,
        learn_threshold=True,
        granularity=granularity,
    )
    optimizer = replace(tiny.optimizer, lr=2e-2, weight_decay=0.1, name="adamw")
    return replace(tiny, epochs=2, neuron=neuron, optimizer=optimizer, readout=readout)


@pytest.mark.parametrize("readout", ("mean", "spike_count"))
@pytest.mark.parametrize("granularity", ("layer", "channel"))
def test_they_move_and_the_exported_file_fires_the_same(
    tiny: Recipe, tmp_path: Path, granularity: str, readout: str
) -> None:
    run = fit(recipe_of(tiny, granularity, readout), tmp_path / "run", device="cpu")
    neurons = run.load_network().neurons
    assert len(neurons) == (3 if readout == "spike_count" else 2)
    for neuron in neurons.values():
        classes = neuron.channels
        for name, start in zip(NAMES, (0.4, 0.5, 0.5), strict=True):
            value = getattr(neuron, name).detach()
            assert value.shape == ((classes,) if granularity == "channel" else ())
            assert float((value - start).abs().min()) > 1e-4
    export = export_for_reader(export_run(run), READERS["nir"], 1e-4)
    proof, metadata = prove_export(run, export, metadata_of(run, export, 1e-4, "1.0.8"))
    assert proof.is_equal, proof.disagreements
    assert metadata.readout == readout
    exact = proof.equivalence.results[0]
    assert exact.precision == "float64" and exact.predictions_differing == 0
    assert all(layer.differing == 0 for layer in exact.layers)
    assert exact.layers[0].either > 0


@pytest.mark.parametrize("granularity", ("layer", "channel"))
def test_weight_decay_leaves_them_alone(tiny: Recipe, granularity: str) -> None:
    recipe = recipe_of(tiny, granularity)
    network = build_network(recipe.network, recipe.neuron, (1, 8, 8), 10)
    groups = build_optimizer(network, recipe.optimizer).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    learnt = [p for name, p in network.named_parameters() if name.rpartition(".")[2] in NAMES]
    assert len(learnt) == 6 and all(decay[id(p)] == 0.0 for p in learnt)
    convolutions = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert all(decay[id(p)] == 0.1 for p in convolutions)


def test_an_interrupted_run_ends_with_the_same_bytes(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(recipe_of(tiny, "channel"), threads=1)
    whole = fit(recipe, tmp_path / "whole", device="cpu")
    original = TrainingModule.training_step

    def stops(self: TrainingModule, *arguments: Any) -> Any:
        if self.global_step == 4:
            raise KeyboardInterrupt
        return original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", stops)
        with pytest.raises(KeyboardInterrupt):
            fit(recipe, tmp_path / "stopped", device="cpu")
    stopped = resume(open_run(tmp_path / "stopped", unfinished=True), device="cpu")
    for name in ("model.safetensors", "metrics.csv", "membrane.csv"):
        assert (stopped.path / name).read_bytes() == (whole.path / name).read_bytes()


def test_spikes_of_the_output_neurons_are_counted(tiny: Recipe) -> None:
    """By hand from the recorded spikes; a tie goes to the lowest class."""
    recipe = replace(tiny, readout="spike_count", timesteps=4)
    torch.manual_seed(0)
    network = build_network(recipe.network, recipe.neuron, (1, 8, 8), 10, recipe.output_neuron)
    module = TrainingModule(recipe, network, 10, 1).eval()
    seen: dict[str, torch.Tensor] = {}
    x = torch.rand(16, 1, 8, 8)
    module.unrolled(x.expand(4, *x.shape), observe=lambda name, spk, v: seen.update({name: spk}))
    scores = module(x)
    spikes = seen["output_neuron"]
    expected = [[sum(spikes[:, b, c].tolist()) for c in range(10)] for b in range(16)]
    assert scores.tolist() == expected
    assert scores.argmax(1).tolist() == [row.index(max(row)) for row in expected]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"alpha": 1.5, "model": "synaptic"}, "neuron.alpha is 1.5"),
        ({"alpha": 1.0, "model": "synaptic"}, "neuron.alpha is 1 with neuron.input_gain decay"),
        ({"learn_alpha": True}, "neuron.learn_alpha needs neuron.model synaptic"),
        ({"granularity": "channel"}, "nothing is trained per channel"),
    ],
)
def test_settings_without_a_meaning_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        NeuronSettings(**values)
