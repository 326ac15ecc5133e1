"""`mpo-train --tune`: finds the slope of a fixed surrogate before the run that keeps it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from mpo_snn.cli.command import UsageError
from mpo_snn.training.recipe import Recipe


def check_tunable(recipe: Recipe) -> None:
    """Refuse a recipe whose slope MPO would move.

    Raises:
        UsageError: if its method is another than `fixed`, if it has a slope, if it holds out a
            validation part, or if its seed is one of those that tune.
    """
    from mpo_snn.evaluation.study_plan import StudyOptions

    if recipe.method != "fixed":
        raise UsageError(
            f"--tune is for a fixed surrogate, but method is {recipe.method}: add --method fixed."
        )
    if recipe.neuron.slope is not None:
        raise UsageError(
            f"neuron.slope is {recipe.neuron.slope:g}, but --tune chooses it: leave out one of"
            " them."
        )
    if recipe.data.validation:
        raise UsageError(
            f"data.validation is {recipe.data.validation:g}, but --tune holds out a part of the"
            " training data itself, which must not judge what it chose: leave it out."
        )
    if recipe.seed in (seeds := StudyOptions().tuning_seeds):
        raise UsageError(
            f"seed is {recipe.seed}, but --tune chooses the slope with the seeds"
            f" {', '.join(map(str, seeds))}, which must not judge it: take another."
        )


def tuned_recipe(
    recipe: Recipe, output: Path | None, device: Literal["auto", "cpu", "cuda"], quiet: bool
) -> Recipe:
    """The recipe with the slope that the rule of `mpo_snn.evaluation.study_tuning` chooses.

    Its runs, and `tuning.json` with the grid and what was found, are beside the run in
    `<output>-tuning`; they are taken up again if they are there.

    Raises:
        MpoError: what training raises, or if every slope diverged.
    """
    from mpo_snn.evaluation.study_engine import Engine
    from mpo_snn.evaluation.study_folder import to_json
    from mpo_snn.evaluation.study_plan import StudyOptions
    from mpo_snn.evaluation.study_runs import Outcome
    from mpo_snn.evaluation.study_tuning import tune_slope
    from mpo_snn.files import make_folder, write_file

    def tell(outcome: Outcome) -> None:
        if not quiet:
            accuracy = outcome.measured.get("accuracy")
            how = "diverged" if accuracy is None else f"validation {100 * accuracy:6.2f} %"
            print(f"{outcome.trial.name:<24} {how}", flush=True)

    beside = output or Path("runs") / recipe.name
    if beside.name in ("", ".."):
        beside = beside.resolve()
    folder = make_folder(beside.with_name(f"{beside.name}-tuning"))
    tuning = tune_slope(recipe, folder, StudyOptions(), Engine(device=device), tell)
    write_file(folder / "tuning.json", to_json(tuning.values()))
    if not quiet:
        print(f"{tuning.note}\ntuning runs {folder}")
    neuron = dataclasses.replace(recipe.neuron, slope=tuning.slope)
    return dataclasses.replace(recipe, neuron=neuron)
