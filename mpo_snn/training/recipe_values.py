"""A recipe from nested plain values, as a file or options hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mpo_snn.data.settings import DataSettings
from mpo_snn.errors import RecipeError
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.rivals.settings import RivalSettings
from mpo_snn.settings import MPOSettings, NeuronSettings
from mpo_snn.training.recipe import OptimizerSettings, Recipe
from mpo_snn.training.typed import typed

GROUPS: dict[str, type] = {
    "data": DataSettings,
    "network": NetworkSettings,
    "neuron": NeuronSettings,
    "mpo": MPOSettings,
    "rival": RivalSettings,
    "optimizer": OptimizerSettings,
}


def recipe_from(values: Mapping[str, Any], what: str = "recipe") -> Recipe:
    """A recipe from nested plain values, as `Recipe.values` gives them or a file holds them.

    Args:
        values: a key that has a default may be absent.
        what: what the values are called in an error, e.g. `recipe 'digits'`.

    Raises:
        RecipeError: with all findings: unknown and missing keys, wrong types, or, where there is
            nothing of these, values out of range.
    """
    given, findings = typed(values, Recipe)
    if findings:
        raise RecipeError(f"cannot use {what}", findings)
    for name, kind in GROUPS.items():
        try:
            given[name] = kind(**given.get(name, {}))
        except RecipeError as error:
            findings += error.findings
            given[name] = kind(**_usable(kind, given.get(name, {})))
    try:
        recipe = Recipe(**given)
    except RecipeError as error:
        findings += error.findings
    if findings:
        raise RecipeError(f"cannot use {what}", findings)
    return recipe


def _usable(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a group that hold by themselves, so that the others are found fault with."""
    usable: dict[str, Any] = {}
    for key, value in values.items():
        try:
            kind(**usable, **{key: value})
        except RecipeError:
            continue
        usable[key] = value
    return usable
