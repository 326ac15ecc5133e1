"""The tuned baseline: a fixed slope, chosen on training data that is held out.

The rule: every slope of the grid trains with every tuning seed on the training split without its
held-out part; the slope with the best mean accuracy on that part wins, the smaller one where two
are equal. A slope of which a run diverges is out. The test split is not even read. The winner then
trains on the whole training split like every other configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mpo_snn.errors import StudyError
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.rundir import Run

from .study_engine import Engine
from .study_folder import check_trials
from .study_plan import TUNED, Configuration, Plan, StudyOptions, Trial, trials_of
from .study_runs import Measure, Outcome, run_trials


@dataclass(frozen=True)
class Tuning:
    """What tuning found.

    Attributes:
        slope: the chosen one, 1/volt.
        accuracies: by slope, the accuracy on the held-out part for every tuning seed, 0 to 1;
            None for a run that diverged.
        seeds: the tuning seeds.
        held_out: share of the training data that the tuning runs hold out.
        most: how many samples of it are looked at at most (data.test_limit); None for all.
    """

    slope: float
    accuracies: Mapping[float, Sequence[float | None]]
    seeds: Sequence[int]
    held_out: float
    most: int | None = None

    @property
    def at_the_edge(self) -> bool:
        """Whether the chosen slope is the smallest or largest of the grid."""
        return self.slope in (min(self.accuracies), max(self.accuracies))

    @property
    def note(self) -> str:
        """What was done, in a line."""
        most = "" if self.most is None else f" ({self.most:,} samples of it at most)"
        seeds = f"{len(self.seeds)} seed{'s' * (len(self.seeds) != 1)}"
        edge = (
            " It is at the edge of the grid: a wider one might find better."
            if self.at_the_edge
            else ""
        )
        return (
            f"tuned baseline: slope {self.slope:g} /V out of"
            f" {', '.join(f'{slope:g}' for slope in sorted(self.accuracies))}, by mean accuracy of"
            f" {seeds} on {100 * self.held_out:g} % of the training data, held out{most}; the test"
            f" split took no part.{edge}"
        )

    def values(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "chosen_slope_per_volt": self.slope,
            "validation_accuracy": {f"{k:g}": list(v) for k, v in self.accuracies.items()},
            "seeds": list(self.seeds),
            "held_out": self.held_out,
            "at_the_edge_of_the_grid": self.at_the_edge,
        }


def fixed_slope(slope: float) -> dict[str, Any]:
    """Overrides that keep every surrogate, of the recipe's shape, at this slope, 1/volt."""
    return {"method": "fixed", "neuron.slope": slope}


def tune_slope(
    recipe: Recipe,
    output: Path,
    options: StudyOptions,
    engine: Engine,
    tell: Callable[[Outcome], None],
) -> Tuning:
    """Find the fixed slope of the tuned baseline.

    Args:
        recipe: what is trained; it holds out no validation part of its own.
        output: where `runs/tuning-slope<k>-s<seed>` go.
        options: grid, seeds and share held out.
        engine: where runs run.
        tell: called with each run that is done.

    Raises:
        StudyError: if every slope diverged, or runs of another recipe are there.
    """
    trials = tuning_trials(recipe, options)
    check_trials(output, trials)
    outcomes = run_trials(trials, output, engine, Measure("validation", {}, _validation), tell)
    accuracies: dict[float, list[float | None]] = {}
    for outcome in outcomes:
        slope = outcome.trial.recipe.neuron.slope
        assert slope is not None, "a tuning run has the slope of its trial"
        accuracies.setdefault(slope, []).append(outcome.measured.get("accuracy"))
    return Tuning(
        choose_slope(accuracies),
        accuracies,
        options.tuning_seeds,
        options.tuning_share,
        recipe.data.test_limit,
    )


def choose_slope(accuracies: Mapping[float, Sequence[float | None]]) -> float:
    """The slope with the best mean, the smaller of equal ones; those with a None are out.

    Raises:
        StudyError: if all are out.
    """
    # Sums of ratios of counts: rounding keeps equal ones equal.
    means = {
        slope: round(sum(a for a in found if a is not None) / len(found), 9)
        for slope, found in accuracies.items()
        if None not in found
    }
    if not means:
        raise StudyError(
            "cannot tune the slope: training diverged at every slope of the grid. A lower"
            " optimizer.lr often helps."
        )
    return min(means, key=lambda slope: (-means[slope], slope))


def tuning_trials(recipe: Recipe, options: StudyOptions) -> list[Trial]:
    """Every slope of the grid with every tuning seed, on data without the held-out part."""
    recipe = replace(recipe, data=replace(recipe.data, validation=options.tuning_share))
    slopes = [
        Configuration(f"tuning-slope{slope:g}", f"slope {slope:g}", fixed_slope(slope))
        for slope in dict.fromkeys(options.slopes)
    ]
    return trials_of(recipe, slopes, options.tuning_seeds)


def with_tuned_slope(
    plan: Plan, engine: Engine, tell: Callable[[Outcome], None]
) -> tuple[tuple[Configuration, ...], Tuning | None]:
    """The plan's configurations, with the slope of the tuned one found, if it takes part."""
    if all(c.name != TUNED for c in plan.configurations):
        return plan.configurations, None
    tuning = tune_slope(plan.recipe, plan.output, plan.options, engine, tell)
    found = fixed_slope(tuning.slope)
    return (
        tuple(replace(c, overrides=found) if c.name == TUNED else c for c in plan.configurations),
        tuning,
    )


def tuning_rows(tuning: Tuning | None) -> list[dict[str, Any]]:
    """Rows of the CSV file: accuracy on the held-out part, by slope and seed."""
    if tuning is None:
        return []
    return [
        {
            "configuration": "tuning",
            "seed": seed,
            "level": slope,
            "measure": "validation_accuracy_by_slope",
            "value": accuracy,
            "unit": "1",
        }
        for slope, found in tuning.accuracies.items()
        for seed, accuracy in zip(tuning.seeds, found, strict=True)
    ]


def _validation(run: Run, settings: Mapping[str, Any], device: str) -> dict[str, Any]:
    """What the run was evaluated on is the part that was held out."""
    return {"accuracy": run.test_accuracy}
