"""`mpo-train --resume RUN --target CHIP`: a finished run goes on with the values of the chip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mpo_snn.errors import RecipeError
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.recipe_file import differing_keys

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from mpo_snn.profiles.chip import ChipProfile
    from mpo_snn.training.rundir import Run

SHARE_OF_EPOCHS, SHARE_OF_RATE = 1 / 3, 1 / 5
"""Of the first training, for the second, unless the command line says otherwise."""
MAY_DIFFER = (
    "name",
    "seed",
    "epochs",
    "threads",
    "precision",
    "events",
    "cuda_graphs",
    "optimizer.",
    "mpo.",
    "data.",
    "loss",
    "tet_",
    "label_",
    "early_",
)
"""Keys, or their beginnings, that a run need not share with the one that it starts from."""


def fine_tuning_recipe(recipe: Recipe) -> Recipe:
    """The recipe of a finished run for a second, shorter training with a smaller rate.

    Surrogates stay as narrow as they were at the end of the first, and timesteps as many.
    """
    mpo = recipe.mpo
    if mpo.width_scale_end is not None:
        mpo = replace(mpo, width_scale=mpo.width_scale_end, width_scale_end=None)
    optimizer = replace(recipe.optimizer, lr=recipe.optimizer.lr * SHARE_OF_RATE, warmup_epochs=0.0)
    epochs = max(1, round(recipe.epochs * SHARE_OF_EPOCHS))
    return replace(
        recipe,
        epochs=epochs,
        early_timesteps=None,
        early_epochs=0,
        optimizer=optimizer,
        mpo=mpo,
    )


def check_same_network(first: Recipe, second: Recipe) -> None:
    """Refuse settings with which the weights of the first run mean something else.

    Raises:
        RecipeError: naming every key.
    """
    changed = [
        key
        for key in differing_keys(first, second)
        if not any(key == one or (one[-1] in "._" and key.startswith(one)) for one in MAY_DIFFER)
    ]
    if changed:
        raise RecipeError(
            "cannot go on from these weights with other settings of the network",
            [f"{key} differs: leave it out, or train anew without --resume." for key in changed],
        )


def check_goes_on(first: Run, recipe: Recipe, profile: ChipProfile, target: str) -> None:
    """Refuse a finished run whose neurons are not those of the chip, or another network.

    Raises:
        RecipeError: naming every key.
    """
    from mpo_snn.cli.target_recipe import recipe_for_target

    _, changes = recipe_for_target(recipe, profile, ())
    if changes:
        raise RecipeError(
            f"cannot go on with '{first.path}' for {profile.name}, which needs other neurons",
            [f"{line}; train anew with --target {target}." for line in changes],
        )
    check_same_network(first.recipe, recipe)


def next_to(run: Run, profile: ChipProfile) -> Path:
    """Where the second run goes unless somebody says: the first name that is free."""
    first = run.path.with_name(f"{run.path.name}-{profile.name}")
    number, path = 1, first
    while path.exists():
        number += 1
        path = first.with_name(f"{first.name}-{number}")
    return path


def watching(run: Run) -> list[Callback]:
    """What a run needs besides the recipe: nothing, or the values of the chip."""
    if run.started_from is None or run.target is None:
        return []
    from mpo_snn.cli.grid_callback import OnGrid
    from mpo_snn.data import load_dataset
    from mpo_snn.encoding import shape_of_step
    from mpo_snn.profiles.chip import load_chip_profile

    recipe = run.recipe
    data = load_dataset(recipe.data.limited(1), recipe.timesteps, train=False)
    shape = shape_of_step(data.input_shape, recipe.encoding, recipe.timesteps)
    return [OnGrid(recipe, load_chip_profile(run.target), shape)]
