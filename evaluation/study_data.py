"""Whether the runs of a study are on the same data, as far as they noted what theirs was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpo_snn.errors import DataError
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.same_data import describe_data, differences, noted_data

from .study_plan import Trial


def other_data(runs: Sequence[tuple[Trial, Path]], is_read: bool) -> dict[str, list[str]]:
    """Runs on other data than is there now, or than the first of those had that should share it.

    Args:
        runs: trials and their run directories.
        is_read: whether the data is read to compare with it. Data that cannot be read is not:
            whoever needs it says so, and nothing else can be mixed with it.

    Returns:
        by what differs, in words, the names of the runs.
    """
    noted: dict[Any, list[tuple[str, dict[str, Any]]]] = {}
    recipes: dict[Any, Recipe] = {}
    for trial, path in runs:
        if data := noted_data(path):
            recipe = trial.recipe
            key = (recipe.data, recipe.timesteps if recipe.data.is_framed else None)
            noted.setdefault(key, []).append((trial.name, data))
            recipes.setdefault(key, recipe)
    found: dict[str, list[str]] = {}
    for key, descriptions in noted.items():
        now = (_read(recipes[key]) if is_read else None) or descriptions[0][1]
        for name, before in descriptions:
            if what := differences(before, now):
                found.setdefault("; ".join(what), []).append(name)
    return found


def _read(recipe: Recipe) -> dict[str, Any] | None:
    from mpo_snn.data import load_dataset

    try:
        return describe_data(load_dataset(recipe.data, recipe.timesteps))
    except DataError:
        return None
