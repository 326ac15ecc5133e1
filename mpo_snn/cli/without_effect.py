"""Options of `mpo-train` that the chosen method does not read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mpo_snn.training.recipe import Recipe


def keys_without_effect(recipe: Recipe, given: Iterable[str]) -> Iterator[str]:
    """A line for each key of another method's constants; what it says trains nothing.

    Args:
        recipe: what is trained.
        given: dotted keys that the command line gives; `rival.NAME_...` is read by method NAME.
    """
    for key in given:
        group, _, name = key.partition(".")
        read_by = {"mpo": "mpo", "rival": name.partition("_")[0]}.get(group, recipe.method)
        if read_by != recipe.method:
            yield f"{key} is for method {read_by}, it trains nothing with method {recipe.method}."
