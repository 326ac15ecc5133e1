"""A recipe inside what a chip can do, and its untrained network held against the chip's rules."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import torch

from mpo_snn.cli.learnt_values import spread_learnt_values
from mpo_snn.cli.reader_recipe import SAMPLES
from mpo_snn.data import load_dataset
from mpo_snn.deploy.check import Checked, check_graph_on_chip
from mpo_snn.deploy.recipe_settings import Along, settings_along, settings_inside, sizes_inside
from mpo_snn.encoding import largest_input, shape_of_step
from mpo_snn.errors import ExportError, RecipeError
from mpo_snn.export.nir_export import DEFAULT_DT, export_nir
from mpo_snn.inference import Inference
from mpo_snn.networks import build_network
from mpo_snn.profiles.chip import ChipProfile
from mpo_snn.rivals import findings_of
from mpo_snn.training.ranks import rank
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.recipe_file import flat_values
from mpo_snn.training.recipe_values import recipe_from

_OTHER = ": use another method (--method mpo)."
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
        the recipe, and one line for each setting that was changed, with the reason.

    Raises:
        RecipeError: with every setting that was given by hand and the chip cannot do; or if the
            method does not train such neurons.
    """
    values = recipe.values()
    flat = dict(flat_values(values))
    wanted = _wanted(recipe, flat, profile, kept)
    changed = {key: one for key, one in wanted.items() if flat[key] != one.value}
    refused = [
        f"{key} is {_shown(flat[key])}, as the command line says; the chip needs"
        f" {_shown(one.value)} ({one.why}): leave it out."
        for key, one in changed.items()
        if key in kept
    ]
    if refused:
        raise RecipeError(f"cannot train for {profile.name}", refused)
    for key, one in changed.items():
        group, _, name = key.rpartition(".")
        (values[group] if group else values)[name] = one.value
    plain = recipe_from(values | {"method": "fixed"}, f"the recipe for {profile.name}")
    unlike = findings_of(recipe.method, plain.neuron)
    if unlike:
        told = [line.partition(": ")[0] for line in unlike]
        raise RecipeError(f"cannot train for {profile.name}", [f"{one}{_OTHER}" for one in told])
    lines = [
        f"{key} is {_shown(one.value)}, not {_shown(flat[key])}: {one.why}"
        for key, one in changed.items()
    ]
    return replace(plain, method=recipe.method), lines


def _wanted(
    recipe: Recipe, flat: dict[str, Any], profile: ChipProfile, kept: Collection[str]
) -> dict[str, Along]:
    """By key: what the chip needs, and what changes with it; what is offered, unless kept."""
    inside = settings_inside(profile, flat)
    offered = sizes_inside(profile, flat, inside)
    if inside["encoding"] == "rows":
        rows = _rows(recipe)
        if recipe.timesteps < rows:
            why = f"the {rows} rows of an image come one a step"
            offered["timesteps"] = Along(TIMESTEPS_PER_ROW * rows, why)
    needed = {key: Along(value, f"{profile.name} does no other") for key, value in inside.items()}
    free = {key: one for key, one in offered.items() if key not in kept}
    return needed | settings_along(flat, inside) | free


def refuse_method(recipe: Recipe, profile: ChipProfile) -> None:
    """Refuse a method that learns what the chip does not have.

    The chip's own rules decide: it must take the network of the recipe by itself, and not that
    which the method makes of it.

    Raises:
        RecipeError: naming the method and what it sets.
    """
    sets = recipe.set_by_method
    allowed = _refusals(recipe, profile) if sets else []
    if not allowed or _refusals(replace(recipe, method="fixed"), profile):
        return  # what the network itself has is told as that of any other
    inside = settings_inside(profile, dict(flat_values(recipe.values())))
    at_fault = [key for key, value in sets.items() if inside.get(key, value) != value]
    said = ", ".join(f"{key} {_shown(sets[key])}" for key in at_fault or sets)
    raise RecipeError(
        f"cannot train for {profile.name}",
        [f"method is {recipe.method}, which sets {said}, allowed is {'; '.join(allowed)}{_OTHER}"],
    )


def _refusals(recipe: Recipe, profile: ChipProfile) -> list[str]:
    """What a chip, or NIR, allows in place of what the network of a recipe has."""
    try:
        findings = check_untrained(recipe, profile).result.findings
    except ExportError:
        return ["neurons that NIR has"]
    return list(dict.fromkeys(one.allowed for one in findings))


def _rows(recipe: Recipe) -> int:
    """Height of the images."""
    dataset = load_dataset(recipe.data.limited(1), recipe.timesteps, train=False)
    return dataset.input_shape[-2] if len(dataset.input_shape) == 3 else 0


def _shown(value: Any) -> str:
    """A value as recipes have it."""
    return value if isinstance(value, str) else json.dumps(value)


def check_untrained(recipe: Recipe, profile: ChipProfile) -> Checked:
    """Hold the network of a recipe, with fresh weights, against every rule of a chip.

    What training learns, and biases, are moved as it will, so that rules for them are met.

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
    spread_learnt_values(network)
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
