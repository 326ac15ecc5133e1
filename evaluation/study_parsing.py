"""Reads seeds, numbers and configurations of a study as a command line gives them."""

from __future__ import annotations

import re
import shlex
from typing import Any, get_args, get_type_hints

from mpo_snn.errors import StudyError
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.recipe_file import plain_value

from .study_plan import SHIPPED, Configuration, listed

MOST_SEEDS = 1000
RESERVED = "tuning-slope"
"""How the runs of tuning are called."""


def parse_seeds(text: str) -> tuple[int, ...]:
    """`0-4`, `0,3,7` or a mix of both.

    Raises:
        StudyError: if it is none of these, a range runs backwards, or a seed comes twice.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", part)
        if match is None:
            raise StudyError(f"seeds is '{text}', allowed is a list such as 0,1,2 or 0-4.")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise StudyError(f"seeds is '{text}': the range {part.strip()} runs backwards.")
        if last - first >= MOST_SEEDS:
            raise StudyError(f"seeds is '{text}', allowed are at most {MOST_SEEDS} seeds.")
        seeds += range(first, last + 1)
    twice = {seed for seed in seeds if seeds.count(seed) > 1}
    if twice:
        raise StudyError(f"seeds is '{text}': {listed(sorted(twice))} comes more than once.")
    return tuple(seeds)


def parse_numbers(name: str, text: str, kind: type[float]) -> tuple[Any, ...]:
    """A list such as `0.1,0.2`.

    Args:
        name: of the option, for the error.
        text: the list.
        kind: int or float.

    Raises:
        StudyError: if an item is no number of this kind.
    """
    try:
        return tuple(kind(item) for item in text.split(","))
    except ValueError as error:
        what = "whole numbers such as 4,8" if kind is int else "numbers such as 0.1,0.2"
        raise StudyError(f"{name} is '{text}', allowed is a list of {what}.") from error


def parse_configurations(text: str) -> tuple[Configuration, ...]:
    """A list such as `full,klif,narrow=--neuron.width 0.2 --mpo.height off`.

    A name is one of `SHIPPED`, one of the recipe's methods (`fixed`, ...), or one of the user's own
    with what it changes, written as on the command line of mpo-train.

    Raises:
        StudyError: if a name is unknown or comes twice, or overrides cannot be read.
    """
    found: list[Configuration] = []
    for item in _split_outside_brackets(text):
        name, own, words = (part.strip() for part in item.partition("="))
        found.append(_own(name, words) if own else _known(name))
    names = [configuration.name for configuration in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise StudyError(f"configurations: {', '.join(twice)} comes more than once.")
    return tuple(found)


def methods() -> tuple[str, ...]:
    """The methods that a recipe can name."""
    return get_args(get_type_hints(Recipe)["method"])


def _known(name: str) -> Configuration:
    if name in SHIPPED:
        return SHIPPED[name]
    if name in methods():
        return Configuration(name, name, {"method": name})
    known = ", ".join(dict.fromkeys((*SHIPPED, *methods())))
    if re.fullmatch(r"[-+]?[.\d]+", name):
        raise StudyError(
            f"unknown configuration '{name}': if it is part of a list, that stands in brackets,"
            " such as 'name=--network.hidden [8,8]'."
        )
    raise StudyError(
        f"unknown configuration '{name}': choose from {known}, or write your own as"
        " 'name=--neuron.width 0.2'."
    )


def _own(name: str, words: str) -> Configuration:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
        raise StudyError(
            f"a configuration is named '{name}', allowed are letters, digits, dot, dash and"
            " underscore."
        )
    if name in SHIPPED or name in methods() or name.startswith(RESERVED):
        raise StudyError(
            f"a configuration of yours is named '{name}', which has a meaning already: give yours"
            f" another name, such as my-{name}."
        )
    try:
        parts = [part for word in shlex.split(words) for part in word.split("=", 1)]
    except ValueError as error:
        raise StudyError(f"cannot read configuration '{name}': {error}.") from error
    keys = parts[::2]
    if not parts or len(parts) % 2 or not all(re.fullmatch(r"--[\w.]+", key) for key in keys):
        raise StudyError(
            f"cannot read configuration '{name}={words}', expected"
            f" '{name}=--key.sub value --key.sub value'."
        )
    if "--seed" in keys:
        raise StudyError(f"configuration '{name}' sets --seed: seeds are given by --seeds.")
    values = {key[2:]: plain_value(text) for key, text in zip(keys, parts[1::2], strict=True)}
    return Configuration(name, name, values)


def _split_outside_brackets(text: str) -> list[str]:
    """Split at commas that stand outside of [...]."""
    return re.split(r",(?![^\[]*\])", text)
