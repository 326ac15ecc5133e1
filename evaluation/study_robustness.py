r"""`mpo-study robustness`: accuracy under noise that training never saw (Figure 6).

.. math:: \text{RR} = \text{accuracy under noise} / \text{clean accuracy}

The noise is a function of the run's seed and of the level: all configurations of a seed see the
same noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from mpo_snn.data.corruptions import Corruption, corrupt, range_over
from mpo_snn.training.rundir import Run

from .activity import batches
from .study_engine import Engine
from .study_figures import band, calm_style, mean, panels, percent, std
from .study_folder import check_trials
from .study_frame import frame, heading_of
from .study_measure import BATCH_SIZE, accuracy_of, split_of
from .study_plan import Configuration, Plan, trials_of
from .study_results import Results, TextTable, divergence_notes, divergence_rows, measurement
from .study_runs import ByName, Measure, Outcome, grouped, run_trials, with_runs
from .study_series import series_of
from .study_tuning import tuning_rows, with_tuned_slope

KINDS: dict[Corruption, tuple[str, str]] = {
    "gaussian": ("Gaussian noise", "sigma / range of the data"),
    "salt_and_pepper": ("salt and pepper", "share p of the pixels"),
}
"""Title and axis of each kind of noise."""

DRAWS = "by sample"
"""How noise is drawn; what was measured with other draws is measured anew, or seeds would mix."""


def run_robustness(plan: Plan, engine: Engine, tell: Callable[[Outcome], None]) -> Results:
    """Train all configurations with all seeds, and test them under every noise."""
    configurations, tuning = with_tuned_slope(plan, engine, tell)
    trials = trials_of(plan.recipe, configurations, plan.seeds)
    check_trials(plan.output, trials)
    levels: dict[str, list[float]] = {
        kind: sorted(set(getattr(plan.options, kind))) for kind in KINDS
    }
    measure = Measure("robustness", {**levels, "draws": DRAWS}, _measure)
    outcomes = run_trials(trials, plan.output, engine, measure, tell)
    by_name = grouped(outcomes)
    return Results(
        outcomes=outcomes,
        rows=[*_rows(outcomes), *tuning_rows(tuning), *divergence_rows(outcomes)],
        summary={"results": {c.name: _summary(c, by_name[c.name], levels) for c in configurations}}
        | ({"tuning": tuning.values()} if tuning else {}),
        tables=[_table(plan, configurations, by_name, kind, levels[kind]) for kind in KINDS],
        figures={"robustness": _figure(plan, with_runs(configurations, outcomes), by_name, levels)},
        notes=[
            *([tuning.note] if tuning else []),
            *divergence_notes(outcomes),
            "RR: accuracy under noise / clean accuracy. Noise stays within the range of the data"
            " (values beyond are clipped to it); all configurations of a seed see the same noise.",
            "paper, Figure 6, CIFAR-10: MPO 91.97 % at sigma 0.2 and over 91 % at 0.3, where the"
            " baseline is below 90.03 %.",
        ],
    )


def _measure(run: Run, settings: Mapping[str, Any], device: str) -> dict[str, Any]:
    """Accuracy without noise, and by kind and level (as words: JSON keys are words)."""
    data, network = split_of(run), run.load_network().to(device)
    within = range_over(x for x, _ in batches(data.test_x, data.test_y, BATCH_SIZE))

    def accuracy(kind: Corruption, level: float) -> float:
        def noisy(x: Tensor, first: int) -> Tensor:
            return corrupt(x, kind, level, within, run.recipe.seed, first)

        return accuracy_of(network, run.recipe, data.test_x, data.test_y, device, noisy)

    return {
        "accuracy": accuracy_of(network, run.recipe, data.test_x, data.test_y, device),
        "noisy": {
            kind: {f"{level:g}": accuracy(kind, level) for level in settings[kind]}
            for kind in KINDS
        },
    }


def _ratio(noisy: float, clean: float) -> float | None:
    """RR; None where nothing is right without noise."""
    return None if clean == 0.0 else noisy / clean


def _rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    rows = []
    for outcome in outcomes:
        if outcome.diverged:
            continue
        clean = outcome.measured["accuracy"]
        rows.append(measurement(outcome, "accuracy", clean, "1"))
        for kind, found in outcome.measured["noisy"].items():
            for level, noisy in found.items():
                rows.append(measurement(outcome, f"accuracy_{kind}", noisy, "1", level=level))
                ratio = _ratio(noisy, clean)
                rows.append(measurement(outcome, f"rr_{kind}", ratio, "1", level=level))
    return rows


def _noisy(outcomes: Sequence[Outcome], kind: str, level: float) -> list[float]:
    """Accuracy of every seed."""
    return [o.measured["noisy"][kind][f"{level:g}"] for o in outcomes if not o.diverged]


def _clean(outcomes: Sequence[Outcome]) -> list[float]:
    return [o.measured["accuracy"] for o in outcomes if not o.diverged]


def _ratios(outcomes: Sequence[Outcome], kind: str, level: float) -> list[float]:
    """RR of every seed that has one."""
    pairs = zip(_noisy(outcomes, kind, level), _clean(outcomes), strict=True)
    ratios = [_ratio(noisy, clean) for noisy, clean in pairs]
    return [ratio for ratio in ratios if ratio is not None]


def _summary(
    configuration: Configuration,
    outcomes: Sequence[Outcome],
    levels: Mapping[str, Sequence[float]],
) -> dict[str, Any]:
    clean = _clean(outcomes)
    return {
        "title": configuration.title,
        "accuracy": clean,
        "accuracy_mean": mean(clean) if clean else None,
        "noisy": {
            kind: [{"level": level, **_both(outcomes, kind, level)} for level in levels[kind]]
            for kind in KINDS
        },
    }


def _both(outcomes: Sequence[Outcome], kind: str, level: float) -> dict[str, Any]:
    noisy, ratios = _noisy(outcomes, kind, level), _ratios(outcomes, kind, level)
    return {
        "accuracy_mean": mean(noisy) if noisy else None,
        "accuracy_std": std(noisy),
        "rr_mean": mean(ratios) if ratios else None,
        "rr_std": std(ratios),
    }


def _table(
    plan: Plan,
    configurations: Sequence[Configuration],
    by_name: ByName,
    kind: Corruption,
    levels: Sequence[float],
) -> TextTable:
    title, axis = KINDS[kind]
    rows = []
    for configuration in configurations:
        outcomes = by_name[configuration.name]
        rows.append([configuration.title, percent(_clean(outcomes), 1)])
        rows[-1] += [percent(_noisy(outcomes, kind, level), 1) for level in levels]
        rows.append(["  RR", ""])
        found = [_ratios(outcomes, kind, level) for level in levels]
        rows[-1] += [f"{mean(ratios):.3f}" if ratios else "-" for ratios in found]
    split = plan.recipe.data.evaluated_on
    return TextTable(
        f"{title}, {split} accuracy of {plan.recipe.name} in % by {axis}",
        ("configuration", "clean", *(f"{level:g}" for level in levels)),
        rows,
    )


def _figure(
    plan: Plan,
    configurations: Sequence[Configuration],
    by_name: ByName,
    levels: Mapping[str, Sequence[float]],
) -> Figure:
    series = series_of(configurations)
    with calm_style():
        figure, axes = panels(2 * len(KINDS), columns=2, size=(3.6, 2.5))
        for column, (kind, (title, label)) in enumerate(KINDS.items()):
            above, below = axes[column], axes[column + len(KINDS)]
            for one in series:
                outcomes = by_name[one.name]
                accuracy = {0.0: [100 * a for a in _clean(outcomes)]}
                ratio = {0.0: [1.0 for a in _clean(outcomes) if a]}
                for level in levels[kind]:
                    accuracy[level] = [100 * a for a in _noisy(outcomes, kind, level)]
                    ratio[level] = _ratios(outcomes, kind, level)
                band(above, accuracy, one.look, one.shade)
                band(below, ratio, one.look, one.shade)
            above.set(ylabel=f"{plan.recipe.data.evaluated_on} accuracy / %", title=title)
            below.set(ylabel="RR", xlabel=label)
        frame(figure, heading_of(plan), [one.key for one in series])
    return figure
