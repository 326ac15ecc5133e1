"""A recipe inside what a reader of NIR files can express, found by exporting it untrained."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import torch

from mpo_snn.cli.learnt_values import spread_learnt_values
from mpo_snn.data import load_dataset
from mpo_snn.encoding import shape_of_step
from mpo_snn.errors import ExportError, RecipeError
from mpo_snn.export.for_reader import export_for_reader, reader_named
from mpo_snn.export.nir_export import DEFAULT_DT, export_nir
from mpo_snn.export.readers import Reader
from mpo_snn.networks import build_network
from mpo_snn.training.recipe import Recipe

SAMPLES = 100
"""Samples that are read at most to learn the shape of the data."""
_CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"neuron.reset": "zero", "neuron.reset_timing": "step"},
    {"neuron.reset": "subtract", "neuron.reset_timing": "step"},
    {"neuron.reset": "subtract", "neuron.reset_timing": "next"},
)
_FURTHER: tuple[dict[str, Any], ...] = (
    {},
    {"neuron.granularity": "layer"},
    {"network.pooling": "average"},
    {"neuron.granularity": "layer", "network.pooling": "average"},
)


def recipe_for_reader(recipe: Recipe, name: str, kept: Collection[str]) -> tuple[Recipe, list[str]]:
    """The recipe with as few settings changed as let the reader run what it trains.

    Args:
        recipe: what was asked for.
        name: the reader.
        kept: keys that the user gave by hand, which are not changed.

    Returns:
        the recipe, and one line for each setting that was changed.

    Raises:
        ExportError: if the reader is unknown.
        RecipeError: with the reasons that are left under the change that helps most.
    """
    reader = reader_named(name)
    dataset = load_dataset(recipe.data.limited(SAMPLES), recipe.timesteps, train=False)
    shape = shape_of_step(dataset.input_shape, recipe.encoding, recipe.timesteps)
    classes = len(dataset.class_names)
    reasons = _obstacles(recipe, reader, shape, classes)
    if not reasons:
        return recipe, []
    for changes in _candidates(recipe, kept):
        candidate = _changed(recipe, changes)
        if candidate is None:
            continue
        left = _obstacles(candidate, reader, shape, classes)
        if not left:
            return candidate, [
                f"{key} is {value}, not {_value(recipe, key)}: {reader.title} runs no other"
                for key, value in changes.items()
            ]
        reasons = min(reasons, left, key=len)
    raise RecipeError(f"cannot train for {reader.title}", reasons)


def _obstacles(
    recipe: Recipe, reader: Reader, shape: tuple[int, ...], classes: int
) -> tuple[str, ...]:
    """Why the reader cannot run the network of a recipe; nothing if it can."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(
            recipe.network, recipe.trained_neuron, shape, classes, recipe.output_neuron
        )
    spread_learnt_values(network)
    dt = DEFAULT_DT if reader.dt is None else reader.dt
    try:
        export_for_reader(export_nir(network, shape, dt), reader, dt)
    except ExportError as error:
        return error.findings or (str(error),)
    return ()


def _candidates(recipe: Recipe, kept: Collection[str]) -> Iterator[dict[str, Any]]:
    """Changes of the settings that are not kept, the smallest first."""
    found = []
    for first, second in product(_CHANGES, _FURTHER):
        changes = {k: v for k, v in {**first, **second}.items() if _value(recipe, k) != v}
        if changes and not set(changes) & set(kept):
            found.append(changes)
    yield from sorted(found, key=len)


def _changed(recipe: Recipe, changes: dict[str, Any]) -> Recipe | None:
    """The recipe with the changes, None if it is none."""
    try:
        for key, value in changes.items():
            group, _, name = key.partition(".")
            recipe = replace(recipe, **{group: replace(getattr(recipe, group), **{name: value})})
    except RecipeError:
        return None
    return recipe


def _value(recipe: Recipe, key: str) -> Any:
    group, _, name = key.partition(".")
    return getattr(getattr(recipe, group), name)
