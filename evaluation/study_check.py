"""Whether the configurations of a study can be compared, as far as that is known beforehand."""

from __future__ import annotations

from dataclasses import asdict, replace

from mpo_snn.errors import StudyError
from mpo_snn.rivals.settings import RivalSettings
from mpo_snn.settings import MPOSettings, NeuronSettings
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.recipe_file import differing_keys

from .study_plan import TUNED, Plan, listed

MEASURED_ON = ("data.name", "data.path", "data.validation", "data.test_limit")
"""Keys that decide which samples accuracy is measured on."""


def check_plan(plan: Plan) -> None:
    """Refuse configurations that cannot be compared, or that the study would overrule.

    Raises:
        StudyError: if one is measured on other samples than the recipe, sets what the study sweeps,
            or is tuned with seeds or on samples that are compared.
    """
    fixed = dict.fromkeys(MEASURED_ON, "all configurations are measured on the same samples")
    if plan.study == "timesteps":
        fixed["timesteps"] = "T is given by --sweep"
    found = [
        f"configuration '{c.name}' sets {key}: {why}."
        for c in plan.configurations
        for key, why in fixed.items()
        if key in differing_keys(plan.recipe, c.of(plan.recipe))
    ]
    both = sorted(set(plan.seeds) & set(plan.options.tuning_seeds))
    if both and any(c.name == TUNED for c in plan.configurations):
        found.append(
            f"tuning_seeds has {listed(both)}, which is compared too: the choice of the slope must"
            " not know it."
        )
    if plan.recipe.data.validation and any(c.name == TUNED for c in plan.configurations):
        found.append(
            f"data.validation is {plan.recipe.data.validation:g}, and the tuned baseline would be"
            " judged by the samples that chose its slope: leave data.validation out, and the test"
            f" split is compared, or leave out '{TUNED}'."
        )
    if found:
        raise StudyError("cannot compare these configurations", found)


def equal_configurations(plan: Plan) -> list[str]:
    """A line for every configuration that trains what one before it trains."""
    notes: list[str] = []
    first: dict[Recipe, str] = {}
    for configuration in plan.configurations:
        if configuration.name == TUNED:
            continue
        recipe = _effective(configuration.of(plan.recipe))
        name = first.setdefault(recipe, configuration.name)
        if name != configuration.name:
            notes.append(f"{configuration.name} trains what {name} trains: it is done twice.")
    return notes


def _effective(recipe: Recipe) -> Recipe:
    """The recipe without what its method does not read: two that are equal train the same."""
    neuron, method = recipe.trained_neuron, recipe.method
    if neuron.slope is not None:
        neuron = replace(neuron, width=NeuronSettings.width)
    others = {
        key: value
        for key, value in asdict(RivalSettings()).items()
        if not key.startswith(f"{method}_")
    }
    return replace(
        recipe,
        neuron=neuron,
        mpo=recipe.mpo if method == "mpo" else MPOSettings(),
        rival=replace(recipe.rival, **others),
    )
