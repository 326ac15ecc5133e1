"""`mpo-study ablation`: the method without each of its parts, against fixed surrogates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .significance import PairedDifference, compare_paired, smallest_p
from .study_engine import Engine
from .study_figures import INK, SERIES, SOFT, calm_style, mean, panels, percent, std
from .study_folder import check_trials
from .study_frame import folded, frame, heading_of
from .study_measure import TEST_SPLIT
from .study_plan import TUNED, Configuration, Plan, trials_of
from .study_results import Results, TextTable, divergence_notes, divergence_rows, measurement
from .study_runs import ByName, Outcome, by_seed, grouped, run_trials
from .study_tuning import tuning_rows, with_tuned_slope

REFERENCES = (TUNED, "baseline")
"""What every configuration is compared with, where it takes part."""
_REFERENCE: dict[str, Any] = {"color": INK, "lw": 0.8, "ls": ":"}
_LETTERS = 32
"""Of a configuration's name in a line beside the figure."""


def run_ablation(plan: Plan, engine: Engine, tell: Callable[[Outcome], None]) -> Results:
    """Train all configurations with all seeds, and compare them seed by seed."""
    configurations, tuning = with_tuned_slope(plan, engine, tell)
    trials = trials_of(plan.recipe, configurations, plan.seeds)
    check_trials(plan.output, trials)
    outcomes = run_trials(trials, plan.output, engine, TEST_SPLIT, tell)
    by_name = grouped(outcomes)
    summary = {c.name: _summary(c, by_name) for c in configurations}
    return Results(
        outcomes=outcomes,
        rows=[*_rows(outcomes), *tuning_rows(tuning), *divergence_rows(outcomes)],
        summary={"results": summary} | ({"tuning": tuning.values()} if tuning else {}),
        tables=[_table(plan, summary)],
        figures={"ablation": _figure(plan, configurations, by_name)},
        notes=[
            *([tuning.note] if tuning else []),
            *divergence_notes(outcomes),
            *notes_of_tests(summary),
        ],
    )


def difference_in_words(difference: Mapping[str, Any] | None) -> str:
    """`+0.42 (0.031, 0.063)`: points, p of the t-test, p of the sign-flip test."""
    if difference is None:
        return ""
    found = PairedDifference(**difference)
    return f"{100 * found.mean:+.2f} ({_p(found.t_p)}, {_p(found.sign_flip_p)})"


def _p(value: float | None) -> str:
    """A p-value as it is read: never 0."""
    if value is None:
        return "-"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _summary(configuration: Configuration, by_name: ByName) -> dict[str, Any]:
    outcomes = by_name[configuration.name]
    found, density = by_seed(outcomes, "accuracy"), list(by_seed(outcomes, "density").values())
    return {
        "title": configuration.title,
        "seeds": sorted(found),
        "diverged": [o.trial.seed for o in outcomes if o.diverged],
        "accuracy": list(found.values()),
        "accuracy_mean": mean(list(found.values())) if found else None,
        "accuracy_std": std(list(found.values())),
        "density_mean": mean(density) if density else None,
        "density_std": std(density),
        "accuracy_against": {
            reference: _difference(found, by_seed(by_name[reference], "accuracy"))
            for reference in REFERENCES
            if reference in by_name and reference != configuration.name
        },
    }


def _difference(a: Mapping[int, float], b: Mapping[int, float]) -> dict[str, Any] | None:
    """Paired comparison over the seeds that both have; None without any."""
    both = sorted(set(a) & set(b))
    if not both:
        return None
    return asdict(compare_paired([a[s] for s in both], [b[s] for s in both]))


def _rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    rows = []
    for outcome in outcomes:
        if outcome.diverged:
            continue
        for measure in ("accuracy", "density"):
            rows.append(measurement(outcome, measure, outcome.measured[measure], "1"))
        for layer, values in outcome.measured["layers"].items():
            for measure in ("density", "coverage"):
                rows.append(measurement(outcome, measure, values[measure], "1", layer=layer))
    return rows


def _table(plan: Plan, summary: Mapping[str, dict[str, Any]]) -> TextTable:
    references = [name for name in REFERENCES if name in summary]
    rows = []
    for row in summary.values():
        n, diverged = len(row["seeds"]), len(row["diverged"])
        rows.append(
            [
                row["title"],
                percent(row["accuracy"]),
                f"{n}, {diverged} diverged" if diverged else f"{n}",
                "-" if row["density_mean"] is None else f"{row['density_mean']:.3f}",
                *(difference_in_words(row["accuracy_against"].get(name)) for name in references),
            ]
        )
    heads = [f"vs {summary[name]['title']}" for name in references]
    return TextTable(
        f"Ablation of {plan.recipe.name}: {plan.recipe.data.evaluated_on} accuracy in %",
        ("configuration", "accuracy", "n", "density", *heads),
        rows,
    )


def notes_of_tests(summary: Mapping[str, Any]) -> list[str]:
    """What the table's density and tests are, and how small the p of the latter can get."""
    notes = ["density: spikes / (neurons x steps x samples) on the split that accuracy is of."]
    if any(name in summary for name in REFERENCES):
        pairs = [d["n"] for row in summary.values() for d in row["accuracy_against"].values() if d]
        n = min(pairs, default=0)
        fewest = f"n = {n}" if n == max(pairs, default=0) else f"n = {n}, the fewest here,"
        floor = f"; with {fewest} the latter cannot go below {smallest_p(n):.3g}" if n > 1 else ""
        notes.append(
            "vs: difference in points, paired by seed (p of the paired t-test, p of the sign-flip"
            " permutation test; - where it is not defined), two-sided, not corrected for many"
            f" comparisons{floor}."
        )
    return notes


def _figure(plan: Plan, configurations: Sequence[Configuration], by_name: ByName) -> Figure:
    reference = _first_reference(configurations, by_name)
    names = [folded(c.title, _LETTERS) for c in configurations]
    with calm_style():
        figure, (left, right) = panels(2, size=(3.9, 0.36 * len(configurations) + 0.7))
        for axes, key, scale, label in (
            (left, "accuracy", 100.0, f"{plan.recipe.data.evaluated_on} accuracy / %"),
            (right, "density", 1.0, "spike density"),
        ):
            for place, configuration in enumerate(configurations):
                found = by_seed(by_name[configuration.name], key).values()
                if not found:
                    transform = axes.get_yaxis_transform()
                    axes.text(0.02, place, "diverged", color=SOFT, va="center", transform=transform)
                    continue
                values = [scale * value for value in found]
                color = SERIES[0] if configuration.name == "mpo" else SOFT
                axes.scatter(values, [place] * len(values), s=16, color=color, alpha=0.6, lw=0)
                axes.errorbar(
                    mean(values), place, xerr=std(values), color=color, fmt="|", ms=12, mew=2
                )
            if reference is not None:
                found = by_seed(by_name[reference.name], key).values()
                axes.axvline(scale * mean(list(found)), **_REFERENCE)
            axes.set_xlabel(label)
            axes.set_yticks(range(len(configurations)), names)
            axes.set_ylim(len(configurations) - 0.5, -0.5)
            axes.grid(axis="y", visible=False)
        right.set_yticklabels([])
        keys = [Line2D([], [], label="a seed", ls="", marker="o", ms=4, color=SOFT, alpha=0.6)]
        if reference is not None:
            keys.append(Line2D([], [], label=f"mean of {reference.title}", **_REFERENCE))
        frame(figure, heading_of(plan), keys)
    return figure


def _first_reference(
    configurations: Sequence[Configuration], by_name: ByName
) -> Configuration | None:
    """The first reference of which a run did not diverge."""
    done = {c.name: c for c in configurations if by_seed(by_name[c.name], "accuracy")}
    return next((done[name] for name in REFERENCES if name in done), None)
