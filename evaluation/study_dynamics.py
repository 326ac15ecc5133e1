"""`mpo-study dynamics`: what happens while the network trains (Figures 1, 3, 4 and 5)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mpo_snn.training.rundir import Run

from .study_dynamics_figures import dynamics_figures
from .study_engine import Engine
from .study_figures import mean, percent, spread
from .study_folder import check_trials
from .study_layer_grid import MOST_LAYERS
from .study_plan import Configuration, Plan, trials_of
from .study_results import Results, TextTable, divergence_notes, divergence_rows
from .study_runs import ByName, Measure, Outcome, grouped, run_trials, with_runs
from .study_tuning import tuning_rows, with_tuned_slope
from .study_watched import MEMBRANE_FIGURES, Seen, watched_rows


def run_dynamics(plan: Plan, engine: Engine, tell: Callable[[Outcome], None]) -> Results:
    """Train all configurations with all seeds while watching them, and draw what was seen."""
    configurations, tuning = with_tuned_slope(plan, engine, tell)
    trials = trials_of(plan.recipe, configurations, plan.seeds)
    check_trials(plan.output, trials)
    measure = Measure("dynamics", {}, _measure, probed=True)
    outcomes = run_trials(trials, plan.output, engine, measure, tell)
    rows = [row for o in outcomes if not o.diverged for row in watched_rows(o)]
    seen = Seen(rows)
    by_name = grouped(outcomes)
    drawn = with_runs(configurations, outcomes)
    return Results(
        outcomes=outcomes,
        rows=[*rows, *tuning_rows(tuning), *divergence_rows(outcomes)],
        summary={
            "results": {
                c.name: {
                    "title": c.title,
                    "diverged": [o.trial.seed for o in by_name[c.name] if o.diverged],
                    **(_summary(c, seen, plan.recipe.epochs) if c in drawn else {}),
                }
                for c in configurations
            }
        }
        | ({"tuning": tuning.values()} if tuning else {}),
        tables=[_table(plan, drawn, by_name, seen)],
        figures=dynamics_figures(plan, drawn, seen),
        notes=[
            *([tuning.note] if tuning else []),
            *divergence_notes(outcomes),
            "coverage: share of membranes under the surrogate; sigma, width: volt; gradient: L2"
            " norm over all weights, of the norms of its layers, each a mean over the steps of an"
            " epoch; last epoch.",
            "paper: coverage rises to 96.5 % (Figure 1), gradients are smaller and steadier"
            " (Figure 5b), membranes go from two peaks to one (Figure 4).",
            *_left_out(seen),
        ],
    )


def _measure(run: Run, settings: Mapping[str, Any], device: str) -> dict[str, Any]:
    """Everything is in the tables of the run directory already."""
    return {"accuracy": run.test_accuracy}


def _summary(configuration: Configuration, seen: Seen, last: int) -> dict[str, Any]:
    """Means over seeds in the last epoch, by layer."""
    name = configuration.name
    return {
        "test_accuracy": seen.curve("test_accuracy", name)[last],
        **{
            measure: {
                layer: mean(seen.curve(measure, name, layer)[last])
                for layer in seen.layers(measure, name)
            }
            for measure in (*MEMBRANE_FIGURES, "gradient_norm")
        },
        "gradient_norm_of_all": _norm_of_all(configuration, seen, last),
    }


def _norm_of_all(configuration: Configuration, seen: Seen, epoch: float) -> float:
    """L2 norm over all weights: of the norms of the layers, means over steps and seeds."""
    weights = seen.layers("gradient_norm", configuration.name)
    curves = [seen.curve("gradient_norm", configuration.name, weight) for weight in weights]
    return math.hypot(*(mean(curve[epoch]) for curve in curves))


def _table(
    plan: Plan, configurations: Sequence[Configuration], by_name: ByName, seen: Seen
) -> TextTable:
    last, rows = float(plan.recipe.epochs), []
    for configuration in configurations:
        name = configuration.name
        for layer in seen.layers("width", name):
            cells = [mean(seen.curve(m, name, layer)[last]) for m in ("sigma", "width", "coverage")]
            words = [f"{cells[0]:.3f}", f"{cells[1]:.3f}", f"{100 * cells[2]:.1f} %"]
            rows.append([configuration.title, layer, *words])
        total = _norm_of_all(configuration, seen, last)
        accuracy = percent(seen.curve("test_accuracy", name)[last])
        rows.append([configuration.title, f"accuracy {accuracy} %", "", "", "", f"{total:.3g}"])
    return TextTable(
        f"Dynamics of {plan.recipe.name}: after {plan.recipe.epochs} epochs,"
        f" {spread(len(plan.seeds))}",
        ("configuration", "layer", "sigma / V", "width / V", "coverage", "gradient"),
        rows,
    )


def _left_out(seen: Seen) -> list[str]:
    count = len(seen.layers("width"))
    if count <= MOST_LAYERS:
        return []
    return [f"figures show {MOST_LAYERS} of {count} layers; results.csv has all."]
