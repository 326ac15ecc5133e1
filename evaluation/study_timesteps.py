"""`mpo-study timesteps`: the error of few timesteps, with and without adjustment (Table 3).

Every T of the sweep is trained for itself, as in the paper; rates and coverage are held against
those of the largest T of the same configuration and seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.figure import Figure

from mpo_snn.discretisation import NEAR, gradient_degradation, rate_errors

from .study_engine import Engine
from .study_figures import band, calm_style, mean, panels, percent, spread, std
from .study_folder import check_trials
from .study_frame import frame, heading_of
from .study_measure import TEST_SPLIT, over_neurons
from .study_plan import Configuration, Plan, trials_of
from .study_results import Results, TextTable, divergence_notes, divergence_rows, measurement
from .study_runs import Outcome, run_trials, with_runs
from .study_series import series_of
from .study_tuning import tuning_rows, with_tuned_slope

FIGURES = {
    "accuracy": ("accuracy / %", 100.0),
    "v_end": ("final membrane / threshold", 1.0),
    "near_fire": ("near-fire share / %", 100.0),
    "rate_error": ("rate error / %", 100.0),
    "gradient_degradation": ("gradient degradation / %", 100.0),
}
PAPER = {
    ("unadjusted", 8): (37, 80.9),
    ("unadjusted", 12): (34, 86.3),
    ("unadjusted", 16): (30, 90.1),
    ("unadjusted", 20): (26, 92.2),
    ("adjusted", 8): (25, 85.8),
    ("adjusted", 12): (23, 87.2),
    ("adjusted", 16): (20, 91.0),
    ("adjusted", 20): (19, 92.7),
}
"""Near-fire share and accuracy in percent, the paper's Table 3 (CIFAR-10)."""


@dataclass(frozen=True)
class Point:
    """One run of the sweep, for a whole network.

    Attributes:
        outcome: the run.
        values: by name of `FIGURES`; None where it is not defined.
        silent: layers that do not fire at the largest T, which have no rate error.
    """

    outcome: Outcome
    values: Mapping[str, float | None]
    silent: Sequence[str]


def run_timesteps(plan: Plan, engine: Engine, tell: Callable[[Outcome], None]) -> Results:
    """Train every configuration with every T and seed, and compare with the largest T."""
    configurations, tuning = with_tuned_slope(plan, engine, tell)
    sweep = sorted(set(plan.options.sweep))
    trials = [
        trial
        for steps in sweep
        for trial in trials_of(
            replace(plan.recipe, timesteps=steps), configurations, plan.seeds, f"-T{steps}"
        )
    ]
    check_trials(plan.output, trials)
    outcomes = run_trials(trials, plan.output, engine, TEST_SPLIT, tell)
    points = _points(outcomes, sweep[-1])
    summary = [
        _summary(configuration, steps, points)
        for configuration in configurations
        for steps in sweep
    ]
    silent = sorted({name for point in points for name in point.silent})
    return Results(
        outcomes=outcomes,
        rows=[*_rows(points, sweep[-1]), *tuning_rows(tuning), *divergence_rows(outcomes)],
        summary={"results": summary, "silent_layers": silent}
        | ({"tuning": tuning.values()} if tuning else {}),
        tables=[_table(plan, summary)],
        figures={"timesteps": _figure(plan, with_runs(configurations, outcomes), sweep, points)},
        notes=[
            *([tuning.note] if tuning else []),
            *divergence_notes(outcomes),
            f"v_end: mean final membrane / threshold; near fire: final membrane within {NEAR:g} of"
            f" the threshold below it; rate error and degradation: against T = {sweep[-1]}.",
            "paper: Table 3, CIFAR-10, 'with adjustment' and 'without'; its network is not stated.",
            *_gaps(summary),
            *(f"silent at T = {sweep[-1]}, so without rate error: {name}." for name in silent),
        ],
    )


def _points(outcomes: Sequence[Outcome], longest: int) -> list[Point]:
    """All runs of which the largest T is there too."""
    done = [o for o in outcomes if not o.diverged]
    ends = {
        (o.trial.configuration, o.trial.seed): o.measured["layers"]
        for o in done
        if o.trial.recipe.timesteps == longest
    }
    found = []
    for outcome in done:
        layers = outcome.measured["layers"]
        values: dict[str, float | None] = {
            "accuracy": outcome.measured["accuracy"],
            "v_end": over_neurons(layers, "v_end"),
            "near_fire": over_neurons(layers, "near_fire"),
        }
        end = ends.get((outcome.trial.configuration, outcome.trial.seed))
        silent: list[str] = []
        if end is not None:
            errors, silent = rate_errors(_each(layers, "density"), _each(end, "density"))
            values["rate_error"] = mean(list(errors.values())) if errors else None
            values["gradient_degradation"] = gradient_degradation(
                over_neurons(layers, "coverage"), over_neurons(end, "coverage")
            )
        found.append(Point(outcome, values, silent))
    return found


def _each(layers: Mapping[str, Mapping[str, float]], key: str) -> dict[str, float]:
    return {name: layer[key] for name, layer in layers.items()}


def _rows(points: Sequence[Point], longest: int) -> list[dict[str, Any]]:
    rows = []
    for point in points:
        for name, value in point.values.items():
            rows.append(measurement(point.outcome, name, value, "1"))
        for layer, values in point.outcome.measured["layers"].items():
            for name in ("density", "coverage", "v_end", "near_fire"):
                rows.append(measurement(point.outcome, name, values[name], "1", layer=layer))
    return rows


def _values(points: Sequence[Point], configuration: str, steps: int, name: str) -> list[float]:
    found = [
        point.values.get(name)
        for point in points
        if point.outcome.trial.configuration == configuration
        and point.outcome.trial.recipe.timesteps == steps
    ]
    return [value for value in found if value is not None]


def _summary(configuration: Configuration, steps: int, points: Sequence[Point]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "configuration": configuration.name,
        "title": configuration.title,
        "timesteps": steps,
    }
    for name in FIGURES:
        values = _values(points, configuration.name, steps, name)
        row[name] = values
        row[f"{name}_mean"] = mean(values) if values else None
        row[f"{name}_std"] = std(values)
    near, accuracy = PAPER.get((configuration.name, steps), (None, None))
    return row | {"paper_near_fire_percent": near, "paper_accuracy_percent": accuracy}


def _table(plan: Plan, summary: Sequence[Mapping[str, Any]]) -> TextTable:
    rows = []
    for row in summary:
        v = row["v_end_mean"]
        rows.append(
            [
                row["title"],
                f"{row['timesteps']}",
                "-" if v is None else f"{v:+.3f}",
                percent(row["near_fire"], 1),
                percent(row["rate_error"], 1),
                percent(row["gradient_degradation"], 1),
                percent(row["accuracy"], 1),
                _or_nothing(row["paper_near_fire_percent"]),
                _or_nothing(row["paper_accuracy_percent"]),
            ]
        )
    heads = (
        "configuration",
        "T",
        "v_end",
        "near fire",
        "rate error",
        "degradation",
        "accuracy",
        "paper: near fire",
        "accuracy",
    )
    split = plan.recipe.data.evaluated_on
    title = f"Timesteps of {plan.recipe.name}: shares and {split} accuracy in %,"
    return TextTable(f"{title} {spread(len(plan.seeds))}", heads, rows)


def _or_nothing(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _gaps(summary: Sequence[Mapping[str, Any]]) -> list[str]:
    """How much accuracy few timesteps cost, in points, for each configuration."""
    words = []
    for title in dict.fromkeys(row["title"] for row in summary):
        rows = [row for row in summary if row["title"] == title]
        first, last = rows[0], rows[-1]
        if first["accuracy_mean"] is not None and last["accuracy_mean"] is not None:
            gap = 100 * (last["accuracy_mean"] - first["accuracy_mean"])
            words.append(
                f"{title}: accuracy at T = {last['timesteps']} less that at T ="
                f" {first['timesteps']} is {gap:+.1f} points"
            )
    return ["; ".join(words) + " (paper, T = 20 and 8: +11.3 without, +6.9 with)."] if words else []


def _figure(
    plan: Plan,
    configurations: Sequence[Configuration],
    sweep: Sequence[int],
    points: Sequence[Point],
) -> Figure:
    series, split = series_of(configurations), plan.recipe.data.evaluated_on
    with calm_style():
        figure, axes = panels(len(FIGURES))
        for panel, (name, (label, scale)) in zip(axes, FIGURES.items(), strict=True):
            for one in series:
                found: dict[float, list[float]] = {}
                for steps in sweep:
                    values = _values(points, one.name, steps, name)
                    found[steps] = [scale * value for value in values]
                band(panel, found, one.look, one.shade)
            y = f"{split} {label}" if name == "accuracy" else label
            panel.set(xlabel="timesteps T", ylabel=y, xticks=sweep)
        frame(figure, heading_of(plan), [one.key for one in series])
    return figure
