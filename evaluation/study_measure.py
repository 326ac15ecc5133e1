"""What a trained network does on a test split: accuracy, density, and where its membranes are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from mpo_snn.data import load_dataset
from mpo_snn.data.dataset import Dataset, Samples
from mpo_snn.discretisation import near_fire, v_end
from mpo_snn.encoding import encode
from mpo_snn.neurons import MPONeuron
from mpo_snn.readout import read_out
from mpo_snn.surrogate import coverage
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.rundir import Run
from mpo_snn.unroll import Unrolled

from .activity import batches
from .study_runs import Measure

BATCH_SIZE = 256
Transform = Callable[[Tensor, int], Tensor]


@torch.no_grad()
def accuracy_of(
    network: Unrolled,
    recipe: Recipe,
    x: Samples,
    y: Tensor,
    device: str,
    corrupt: Transform | None = None,
) -> float:
    """Share of the samples that are classified right.

    Args:
        network: in eval mode, on the device.
        recipe: for encoding and read-out.
        x: samples, (N, *features).
        y: labels, (N,).
        device: where the network is.
        corrupt: what becomes of each batch before it is encoded, from the batch and the
            index of its first sample.
    """
    correct = 0
    done = 0
    for samples, labels in batches(x, y, BATCH_SIZE):
        seen = samples if corrupt is None else corrupt(samples, done)
        scores = read_out(
            network(encode(seen.to(device), recipe.timesteps, recipe.encoding)), recipe.readout
        )
        correct += int((scores.argmax(1).cpu() == labels).sum())
        done += len(labels)
    return correct / len(y)


@torch.no_grad()
def measure_layers(
    network: Unrolled, recipe: Recipe, x: Samples, y: Tensor, device: str
) -> dict[str, Any]:
    """Accuracy, and what every neuron layer does, in the mean over the samples.

    Returns:
        `accuracy` and `density` (shares of 1; density is the neuron-weighted mean), and `layers`:
        by name, `neurons`, `density`, `coverage`, `v_end`, `near_fire`
        (`mpo_snn.discretisation`).
    """
    totals: dict[str, dict[str, float]] = {}

    def look(name: str, spk: Tensor, v: Tensor) -> None:
        layer = totals.setdefault(name, {"neurons": spk[0, 0].numel()})
        for key, value in _layer_figures(network.neurons[name], spk, v).items():
            layer[key] = layer.get(key, 0.0) + value * spk.shape[1]

    correct = 0
    for samples, labels in batches(x, y, BATCH_SIZE):
        current = encode(samples.to(device), recipe.timesteps, recipe.encoding)
        scores = read_out(network(current, observe=look), recipe.readout)
        correct += int((scores.argmax(1).cpu() == labels).sum())
    layers = {
        name: {key: value if key == "neurons" else value / len(y) for key, value in layer.items()}
        for name, layer in totals.items()
    }
    return {
        "accuracy": correct / len(y),
        "density": over_neurons(layers, "density"),
        "layers": layers,
    }


def over_neurons(layers: dict[str, dict[str, float]], key: str) -> float:
    """Mean of a figure over all neurons of a network."""
    neurons = sum(layer["neurons"] for layer in layers.values())
    return sum(layer["neurons"] * layer[key] for layer in layers.values()) / neurons


def _layer_figures(neuron: MPONeuron, spk: Tensor, v: Tensor) -> dict[str, float]:
    p = neuron.parameters_for(v.shape[1:])
    return {
        "density": float(spk.double().mean()),
        "coverage": float(coverage(v, p.threshold, p.slope, p.surrogate)),
        "v_end": float(v_end(v, p.threshold)),
        "near_fire": float(near_fire(v, p.threshold)),
    }


def split_of(run: Run) -> Dataset:
    """The split that the run was evaluated on."""
    return load_dataset(run.recipe.data, run.recipe.timesteps, train=False)


def _measure_run(run: Run, settings: Mapping[str, Any], device: str) -> dict[str, Any]:
    data, network = split_of(run), run.load_network().to(device)
    return measure_layers(network, run.recipe, data.test_x, data.test_y, device)


TEST_SPLIT = Measure("test-split", {}, _measure_run)
"""Accuracy, density and membranes on the split that the run was evaluated on."""
