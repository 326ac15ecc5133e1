"""A recipe inside what a chip can do, and its untrained network held against the chip's rules."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import torch

from mpo_snn.cli.reader_recipe import SAMPLES
from mpo_snn.data import load_dataset
from mpo_snn.deploy.check import Checked, check_graph_on_chip
from mpo_snn.deploy.recipe_settings import settings_inside
from mpo_snn.encoding import largest_input, shape_of_step
from mpo_snn.errors import RecipeError
from mpo_snn.export.nir_export import DEFAULT_DT, export_nir
from mpo_snn.inference import Inference
from mpo_snn.networks import build_network
from mpo_snn.profiles.chip import ChipProfile
from mpo_snn.training.ranks import rank
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.recipe_file import flat_values
from mpo_snn.training.recipe_values import recipe_from

TIMESTEPS_PER_ROW = 2
"""Of images that are shown row by row: one for the row, one for what it leaves behind."""


def recipe_for_target(
    recipe: Recipe, profile: ChipProfile, kept: Collection[str]
) -> tuple[Recipe, list[str]]:
    """The recipe with the settings that the chip needs.

    Args:
        recipe: what was asked for.
        profile: of the chip.
        kept: keys that the user gave by hand, which are not changed.

    Returns:
        the recipe, and one line for each setting that was changed.

    Raises:
        RecipeError: with every setting that was given by hand and the chip cannot do.
    """
    values = recipe.values()
    flat = dict(flat_values(values))
    wanted = settings_inside(profile, flat)
    if wanted["encoding"] == "rows" and "timesteps" not in kept:
        rows = _rows(recipe)
        if recipe.timesteps < rows:
            wanted["timesteps"] = TIMESTEPS_PER_ROW * rows
    changed = {key: value for key, value in wanted.items() if flat[key] != value}
    refused = [
        f"{key} is {_shown(flat[key])}, as the command line says; the chip needs {_shown(value)}:"
        " leave it out."
        for key, value in changed.items()
        if key in kept
    ]
    if refused:
        raise RecipeError(f"cannot train for {profile.name}", refused)
    for key, value in changed.items():
        group, _, name = key.rpartition(".")
        (values[group] if group else values)[name] = value
    lines = [f"{key} is {_shown(new)}, not {_shown(flat[key])}" for key, new in changed.items()]
    return recipe_from(values, f"the recipe for {profile.name}"), lines


def _rows(recipe: Recipe) -> int:
    """Height of the images."""
    dataset = load_dataset(recipe.data.limited(1), recipe.timesteps, train=False)
    return dataset.input_shape[-2] if len(dataset.input_shape) == 3 else 0


def _shown(value: Any) -> str:
    """A value as recipes have it."""
    return value if isinstance(value, str) else json.dumps(value)


def check_untrained(recipe: Recipe, profile: ChipProfile) -> Checked:
    """Hold the network of a recipe, with fresh weights, against every rule of a chip.

    Raises:
        RecipeError, DataError, ExportError: if there is no such network.
    """
    dataset = load_dataset(recipe.data.limited(SAMPLES), recipe.timesteps, train=False)
    shape = shape_of_step(dataset.input_shape, recipe.encoding, recipe.timesteps)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(
            recipe.network,
            recipe.trained_neuron,
            shape,
            len(dataset.class_names),
            recipe.output_neuron,
            largest_input(recipe.encoding),
        )
    export = export_nir(network.eval(), shape, DEFAULT_DT, chip=True)
    inference = Inference(
        recipe.data.name, recipe.timesteps, DEFAULT_DT, recipe.encoding, recipe.readout
    )
    behaviour: Any = export.behaviour
    return check_graph_on_chip(export.graph, profile, inference, behaviour=behaviour)


def fits(recipe: Recipe, profile: ChipProfile, what: str) -> bool:
    """Whether the untrained network of a recipe has no finding; otherwise they are shown.

    Args:
        recipe: for this chip.
        profile: of the chip.
        what: what the network is called.
    """
    result = check_untrained(recipe, profile).result
    if result.findings and rank().is_first:
        from rich.console import Console

        from mpo_snn.cli.deploy_view import check_view

        console = Console(highlight=False, soft_wrap=True, stderr=True)
        console.print(check_view(result, profile, what))
    return not result.findings
