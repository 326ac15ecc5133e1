"""What a study computes: its configurations, seeds and trials, as plain values."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from mpo_snn.errors import RecipeError, StudyError
from mpo_snn.training.recipe import Recipe, recipe_from
from mpo_snn.training.recipe_file import plain_value

STUDIES = {
    "ablation": "the method without each of its parts, against a fixed and a tuned surrogate",
    "timesteps": "discretisation error over T, with and without adjustment (Table 3)",
    "robustness": "accuracy under Gaussian and salt-and-pepper noise (Figure 6)",
    "dynamics": "membranes, widths, gradients and accuracy over the epochs (Figures 1, 3, 4, 5)",
}
TUNED = "tuned"


@dataclass(frozen=True)
class Configuration:
    """A way to train the recipe.

    Attributes:
        name: letters, digits, dot, dash, underscore; names the runs on the disk.
        title: what tables and figures call it.
        overrides: what it changes in the recipe, by dotted key.
    """

    name: str
    title: str
    overrides: Mapping[str, Any]

    def of(self, recipe: Recipe) -> Recipe:
        """The recipe under this configuration."""
        return overridden(recipe, self.overrides, f"configuration '{self.name}'")


_MPO = {"method": "mpo"}
_WHOLE = {
    **_MPO,
    "mpo.width_follows": "spread",
    "mpo.width_scale": 1.0,
    "mpo.width_scale_end": None,
    "mpo.lambda_dist": 0.01,
    "mpo.height": "stabilised",
    "mpo.neuron_gain": True,
}
"""The paper's method with all its parts, whatever the recipe has."""
SHIPPED = {
    configuration.name: configuration
    for configuration in (
        Configuration("mpo", "MPO", _MPO),
        Configuration("full", "all parts", _WHOLE),
        Configuration("no-dist", "- L_Dist", {**_WHOLE, "mpo.lambda_dist": 0.0}),
        Configuration(
            "no-width", "- L_width", {**_WHOLE, "mpo.adapt_width": False, "mpo.lambda_width": 0.0}
        ),
        Configuration("no-das", "- DAS", {**_WHOLE, "mpo.height": "off"}),
        Configuration("no-sfh", "- SFH", {**_WHOLE, "mpo.neuron_gain": False}),
        Configuration("baseline", "baseline", {"method": "fixed"}),
        Configuration(TUNED, "tuned baseline", {"method": "fixed"}),
        Configuration(
            "adjusted",
            "with adjustment",
            {"mpo.adapt_width": True, "mpo.neuron_gain": True, **_MPO},
        ),
        Configuration(
            "unadjusted",
            "without adjustment",
            {"mpo.adapt_width": False, "mpo.lambda_width": 0.0, "mpo.neuron_gain": False, **_MPO},
        ),
    )
}
"""The ready configurations; the slope of `tuned` is found by `study_tuning`.

Without L_width the width is frozen at its start. "Adjustment" is what Table 3 calls so: the width
adapts and neurons are scaled, or neither.
"""

DEFAULT_CONFIGURATIONS = {
    "ablation": ("mpo", "full", "no-dist", "no-width", "no-das", "no-sfh", "baseline", TUNED),
    "timesteps": ("adjusted", "unadjusted"),
    "robustness": ("mpo", "baseline"),
    "dynamics": ("mpo", "baseline"),
}


@dataclass(frozen=True)
class StudyOptions:
    """Options of single studies.

    Attributes:
        slopes: grid of fixed slopes of the tuned baseline, 1/volt, each > 0.
        tuning_seeds: seeds of every slope of the grid; not those that are compared later.
        tuning_share: share of the training split held out to choose by, in (0, 1).
        sweep: timesteps T, each >= 1, at least two.
        gaussian: standard deviations of the noise, as shares of the data's range, each > 0.
        salt_and_pepper: shares of the pixels that are replaced, each in (0, 1].
    """

    slopes: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
    tuning_seeds: tuple[int, ...] = (1000, 1001)
    tuning_share: float = 0.2
    sweep: tuple[int, ...] = (4, 8, 12, 16, 20)
    gaussian: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
    salt_and_pepper: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2)

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        found = []
        for name, positive in (("slopes", self.slopes), ("gaussian", self.gaussian)):
            if not positive or not all(0.0 < value < float("inf") for value in positive):
                found.append(f"{name} is {_listed(positive)}, allowed is above 0, at least one.")
        if not self.salt_and_pepper or not all(0.0 < p <= 1.0 for p in self.salt_and_pepper):
            found.append(
                f"salt_and_pepper is {_listed(self.salt_and_pepper)}, allowed is above 0 to 1, at"
                " least one."
            )
        if len(set(self.sweep)) < 2 or min(self.sweep) < 1:
            found.append(
                f"sweep is {_listed(self.sweep)}, allowed is at least two different T of 1 or more."
            )
        if not 0.0 < self.tuning_share < 1.0:
            found.append(f"tuning_share is {self.tuning_share:g}, allowed is above 0, below 1.")
        if found:
            raise StudyError("cannot use these study options", found)


@dataclass(frozen=True)
class Plan:
    """A study of a recipe.

    Attributes:
        study: one of `STUDIES`.
        recipe: what is varied; its own seed does not count.
        seeds: of the runs of every configuration.
        configurations: what is compared.
        output: the folder of the study.
        command: the command line, as one could type it again.
        options: options of single studies.
    """

    study: str
    recipe: Recipe
    seeds: tuple[int, ...]
    configurations: tuple[Configuration, ...]
    output: Path
    command: str
    options: StudyOptions = field(default_factory=StudyOptions)


@dataclass(frozen=True)
class Trial:
    """One training run of a study.

    Attributes:
        name: names its run directory.
        configuration: name of its configuration.
        recipe: what is computed, with its seed.
    """

    name: str
    configuration: str
    recipe: Recipe

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return self.recipe.seed


def trials_of(
    recipe: Recipe, configurations: Iterable[Configuration], seeds: Sequence[int], suffix: str = ""
) -> list[Trial]:
    """Every configuration with every seed; `<configuration><suffix>-s<seed>` are the names."""
    return [
        Trial(
            f"{configuration.name}{suffix}-s{seed}",
            configuration.name,
            replace(configuration.of(recipe), seed=seed),
        )
        for configuration in configurations
        for seed in seeds
    ]


def overridden(recipe: Recipe, overrides: Mapping[str, Any], what: str) -> Recipe:
    """The recipe with other values at some dotted keys.

    Raises:
        RecipeError: if a key is unknown or a value does not fit; all findings at once.
    """
    values = recipe.values()
    for key, value in overrides.items():
        *groups, last = key.split(".")
        place = values
        for group in groups:
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                raise RecipeError(f"cannot use {what}: unknown key {key}.")
        place[last] = value
    return recipe_from(values, what)


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
        raise StudyError(f"seeds is '{text}': {_listed(sorted(twice))} comes more than once.")
    return tuple(seeds)


MOST_SEEDS = 1000


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
    if name in SHIPPED:
        raise StudyError(f"the configuration '{name}' is a shipped one; give yours another name.")
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


def _listed(values: Iterable[float]) -> str:
    return ",".join(f"{value:g}" for value in values) or "empty"
