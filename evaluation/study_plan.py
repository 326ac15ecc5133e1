"""What a study computes: its configurations, seeds and trials, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mpo_snn.errors import RecipeError, StudyError
from mpo_snn.settings import LARGEST, MPOSettings
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.recipe_values import recipe_from

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
_PAPER = MPOSettings(
    width_follows="spread",
    width_scale=1.0,
    width_scale_end=None,
    lambda_dist=0.01,
    height="stabilised",
    neuron_gain=True,
)
_WHOLE = {**_MPO, **{f"mpo.{name}": value for name, value in asdict(_PAPER).items()}}
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
            if not positive or not all(0.0 < value <= LARGEST for value in positive):
                found.append(
                    f"{name} is {listed(positive)}, allowed is above 0 to {LARGEST:g}, at least"
                    " one."
                )
        if not self.salt_and_pepper or not all(0.0 < p <= 1.0 for p in self.salt_and_pepper):
            found.append(
                f"salt_and_pepper is {listed(self.salt_and_pepper)}, allowed is above 0 to 1, at"
                " least one."
            )
        if len(set(self.sweep)) < 2 or min(self.sweep) < 1:
            found.append(
                f"sweep is {listed(self.sweep)}, allowed is at least two different T of 1 or more."
            )
        for name in ("slopes", "gaussian", "salt_and_pepper", "sweep"):
            words = [f"{value:g}" for value in getattr(self, name)]
            twice = sorted({word for word in words if words.count(word) > 1})
            if twice:
                found.append(f"{name} has {', '.join(twice)} more than once.")
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


def listed(values: Iterable[float]) -> str:
    """`1,2.5`, for an error."""
    return ",".join(f"{value:g}" for value in values) or "empty"
