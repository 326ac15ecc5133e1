"""`mpo-study dynamics`: what happens while the network trains (Figures 1, 3, 4 and 5)."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mpo_snn.errors import RunError
from mpo_snn.training.probe import BINS_PER_THRESHOLD, GRADIENTS, HISTOGRAM, bin_edges
from mpo_snn.training.rundir import MEMBRANE, METRICS, Run

from .study_figures import INK, SERIES, SOFT, band, calm_style, mean, panels, percent, spread
from .study_folder import check_trials
from .study_plan import Configuration, Plan, trials_of
from .study_results import Results, TextTable, divergence_notes, divergence_rows, measurement
from .study_runs import ByName, Engine, Measure, Outcome, grouped, run_trials
from .study_tuning import tuning_rows, with_tuned_slope

_VOLT = ("mu", "sigma", "width")
MEMBRANE_FIGURES = {name: "V" for name in _VOLT} | {"height": "1", "rho": "1", "coverage": "1"}
"""What is taken from membrane.csv, and its unit."""
_SHADES = (SOFT, SERIES[5], SERIES[0])
MOST_LAYERS = 6
"""Layers that a figure shows; of more, this many in even steps from the first to the last."""


def run_dynamics(plan: Plan, engine: Engine, tell: Callable[[Outcome], None]) -> Results:
    """Train all configurations with all seeds while watching them, and draw what was seen."""
    configurations, tuning = with_tuned_slope(plan, engine, tell)
    trials = trials_of(plan.recipe, configurations, plan.seeds)
    check_trials(plan.output, trials)
    measure = Measure("dynamics", {}, _measure, probed=True)
    outcomes = run_trials(trials, plan.output, engine, measure, tell)
    rows = [row for o in outcomes if not o.diverged for row in _rows(o)]
    seen = _Seen(rows)
    by_name = grouped(outcomes)
    drawn = [c for c in configurations if any(not o.diverged for o in by_name[c.name])]
    return Results(
        outcomes=outcomes,
        rows=[*rows, *tuning_rows(tuning), *divergence_rows(outcomes)],
        summary={"results": {c.name: _summary(c, seen, plan.recipe.epochs) for c in drawn}}
        | ({"tuning": tuning.values()} if tuning else {}),
        tables=[_table(plan, drawn, by_name, seen)],
        figures=_figures(plan, drawn, seen) if drawn else {},
        notes=[
            *([tuning.note] if tuning else []),
            *divergence_notes(outcomes),
            "coverage: share of membranes under the surrogate; sigma, width: volt; gradient: L2"
            " norm over all weights of a layer, mean over the steps of an epoch; last epoch.",
            "paper: coverage rises to 96.5 % (Figure 1), gradients are smaller and steadier"
            " (Figure 5b), membranes go from two peaks to one (Figure 4).",
            *_left_out(seen),
        ],
    )


def _measure(run: Run, settings: Mapping[str, Any], device: str) -> dict[str, Any]:
    """Everything is in the tables of the run directory already."""
    return {"accuracy": run.test_accuracy}


def _rows(outcome: Outcome) -> list[dict[str, Any]]:
    """The run's four tables as rows of the CSV file."""
    path, rows = outcome.run.path, []
    for line in _read(path / METRICS):
        for name in ("train_loss", "train_accuracy", "test_accuracy"):
            value = float(line[name])
            rows.append(measurement(outcome, name, value, "1", epoch=int(line["epoch"])))
    for line in _read(path / MEMBRANE):
        where = {"epoch": int(line["epoch"]), "layer": line["layer"]}
        for name, unit in MEMBRANE_FIGURES.items():
            rows.append(measurement(outcome, name, float(line[name]), unit, **where))
    for line in _read(path / GRADIENTS):
        where = {"epoch": int(line["epoch"]), "layer": line["weight"].removesuffix(".weight")}
        value = float(line["gradient_norm"])
        rows.append(measurement(outcome, "gradient_norm", value, "1", **where))
    for line in _read(path / HISTOGRAM):
        where = {"epoch": int(line["epoch"]), "layer": line["layer"]}
        level, share = float(line["threshold_multiple"]), float(line["share"])
        rows.append(measurement(outcome, "membrane_share", share, "1", level=level, **where))
    return rows


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return list(csv.DictReader(lines))
    except FileNotFoundError as error:
        raise RunError(
            f"cannot read '{path}': it is missing. Delete its run directory to train anew."
        ) from error


class _Seen:
    """The rows, found by measure, configuration and layer."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._found: dict[tuple[str, str, str], dict[tuple[int, float], list[float]]] = {}
        for row in rows:
            key = (row["measure"], row["configuration"], row.get("layer", ""))
            place = (row["epoch"], row.get("level", 0.0))
            self._found.setdefault(key, {}).setdefault(place, []).append(row["value"])

    def layers(self, measure: str) -> list[str]:
        """Layers that have the measure, in the order in which they come."""
        return list(dict.fromkeys(layer for name, _, layer in self._found if name == measure))

    def curve(self, measure: str, configuration: str, layer: str = "") -> dict[float, list[float]]:
        """By epoch, the values of all seeds."""
        found = self._found.get((measure, configuration, layer), {})
        return {float(epoch): values for (epoch, _), values in found.items()}

    def shares(self, configuration: str, layer: str, epoch: int, seeds: int) -> dict[float, float]:
        """By bin, the share of the membrane, mean over seeds."""
        found = self._found.get(("membrane_share", configuration, layer), {})
        return {bin: sum(v) / seeds for (when, bin), v in found.items() if when == epoch}


def _summary(configuration: Configuration, seen: _Seen, last: int) -> dict[str, Any]:
    """Means over seeds in the last epoch, by layer."""
    return {
        "title": configuration.title,
        "test_accuracy": seen.curve("test_accuracy", configuration.name)[last],
        **{
            measure: {
                layer: mean(seen.curve(measure, configuration.name, layer)[last])
                for layer in seen.layers(measure)
            }
            for measure in (*MEMBRANE_FIGURES, "gradient_norm")
        },
    }


def _table(
    plan: Plan, configurations: Sequence[Configuration], by_name: ByName, seen: _Seen
) -> TextTable:
    last, rows = float(plan.recipe.epochs), []
    for configuration in configurations:
        name = configuration.name
        for layer in seen.layers("width"):
            cells = [mean(seen.curve(m, name, layer)[last]) for m in ("sigma", "width", "coverage")]
            words = [f"{cells[0]:.3f}", f"{cells[1]:.3f}", f"{100 * cells[2]:.1f} %"]
            rows.append([configuration.title, layer, *words])
        weights = seen.layers("gradient_norm")
        norms = [mean(seen.curve("gradient_norm", name, weight)[last]) for weight in weights]
        total = sum(norm * norm for norm in norms) ** 0.5
        accuracy = percent(seen.curve("test_accuracy", name)[last])
        rows.append([configuration.title, f"accuracy {accuracy} %", "", "", "", f"{total:.3g}"])
    return TextTable(
        f"Dynamics of {plan.recipe.name}: after {plan.recipe.epochs} epochs,"
        f" {spread(len(plan.seeds))}",
        ("configuration", "layer", "sigma / V", "width / V", "coverage", "gradient"),
        rows,
    )


def _shown(layers: Sequence[str]) -> list[str]:
    """The layers that a figure shows."""
    if len(layers) <= MOST_LAYERS:
        return list(layers)
    last = len(layers) - 1
    return [layers[round(i * last / (MOST_LAYERS - 1))] for i in range(MOST_LAYERS)]


def _left_out(seen: _Seen) -> list[str]:
    count = len(seen.layers("width"))
    if count <= MOST_LAYERS:
        return []
    return [f"figures show {MOST_LAYERS} of {count} layers; results.csv has all."]


def _figures(plan: Plan, configurations: Sequence[Configuration], seen: _Seen) -> dict[str, Figure]:
    with calm_style():
        return {
            "training-curves": _training_curves(plan, configurations, seen),
            "membranes": _membranes(plan, configurations, seen),
            "width-and-sigma": _width_and_sigma(plan, configurations, seen),
            "gradient-norms": _over_epochs(plan, configurations, seen, "gradient_norm"),
            "coverage": _over_epochs(plan, configurations, seen, "coverage"),
        }


def _training_curves(plan: Plan, configurations: Sequence[Configuration], seen: _Seen) -> Figure:
    figure, axes = panels(2, size=(3.6, 2.7))
    split = plan.recipe.data.evaluated_on
    for panel, measure, label in (
        (axes[0], "train_accuracy", "training accuracy / %"),
        (axes[1], "test_accuracy", f"{split} accuracy / %"),
    ):
        for color, configuration in zip(SERIES, configurations, strict=False):
            curve = seen.curve(measure, configuration.name)
            band(panel, _scaled(curve, 100.0), color, configuration.title, **_dots(curve))
        _label(panel, label)
    axes[0].set_title(f"{plan.recipe.name}, {spread(len(plan.seeds))}")
    axes[1].legend(loc="lower right")
    return figure


def _membranes(plan: Plan, configurations: Sequence[Configuration], seen: _Seen) -> Figure:
    layers, last = _shown(seen.layers("membrane_share")), plan.recipe.epochs
    epochs = sorted({1, (last + 1) // 2, last})
    figure, axes = panels(len(layers) * len(configurations), len(layers), (2.5, 2.0))
    for row, configuration in enumerate(configurations):
        seeds = len(seen.curve("test_accuracy", configuration.name)[float(last)])
        for column, layer in enumerate(layers):
            panel = axes[row * len(layers) + column]
            for epoch, color in zip(epochs, _SHADES[-len(epochs) :], strict=True):
                shares = seen.shares(configuration.name, layer, epoch, seeds)
                style: Any = {"lw": 1.3, "drawstyle": "steps-post", "label": f"epoch {epoch}"}
                panel.plot(*_steps(shares), color=color, **style)
            panel.axvline(1.0, color=INK, lw=0.8, ls=":")
            panel.set_xlim(-4, 4)
            panel.set_yticks([])
            panel.grid(axis="y", visible=False)
            if row == 0:
                panel.set_title(layer)
            if column == 0:
                panel.set_ylabel(configuration.title)
            if row == len(configurations) - 1:
                panel.set_xlabel("membrane / threshold")
    axes[0].legend(fontsize=7.5, handlelength=1.2)
    return figure


def _steps(shares: Mapping[float, float]) -> tuple[list[float], list[float]]:
    """Left edges of all bins, and the density of the membrane in each, per threshold."""
    edges = bin_edges()
    return edges, [shares.get(edge, 0.0) * BINS_PER_THRESHOLD for edge in edges]


def _width_and_sigma(plan: Plan, configurations: Sequence[Configuration], seen: _Seen) -> Figure:
    layers = _shown(seen.layers("width"))
    figure, axes = panels(len(layers) * len(configurations), len(layers), (2.5, 2.0))
    for row, configuration in enumerate(configurations):
        for column, layer in enumerate(layers):
            panel = axes[row * len(layers) + column]
            for measure, color in (("sigma", SERIES[1]), ("width", SERIES[0])):
                curve = seen.curve(measure, configuration.name, layer)
                band(panel, curve, color, measure, **_dots(curve))
            _from_zero(panel)
            if row == 0:
                panel.set_title(layer)
            _label(panel, f"{configuration.title}\nvolt" if column == 0 else "")
            if row < len(configurations) - 1:
                panel.set_xlabel("")
    axes[0].legend()
    return figure


def _over_epochs(
    plan: Plan, configurations: Sequence[Configuration], seen: _Seen, measure: str
) -> Figure:
    """One panel a layer, one line a configuration."""
    layers = _shown(seen.layers(measure))
    figure, axes = panels(len(layers), 2 if len(layers) == 4 else 3, (2.8, 2.2))
    for panel, layer in zip(axes, layers, strict=True):
        for color, configuration in zip(SERIES, configurations, strict=False):
            curve = seen.curve(measure, configuration.name, layer)
            scale = 100.0 if measure == "coverage" else 1.0
            band(panel, _scaled(curve, scale), color, configuration.title, **_dots(curve))
        panel.set_title(layer)
        _label(panel, "coverage / %" if measure == "coverage" else "gradient, L2 norm")
        if measure == "gradient_norm":
            _from_zero(panel)
    axes[0].legend()
    return figure


def _scaled(curve: Mapping[float, Sequence[float]], scale: float) -> dict[float, list[float]]:
    return {epoch: [scale * value for value in values] for epoch, values in curve.items()}


def _dots(curve: Mapping[float, Sequence[float]]) -> dict[str, Any]:
    """Markers where there are few epochs, of which a line alone would show little."""
    return {"marker": "o", "ms": 3.0} if len(curve) <= 20 else {}


def _from_zero(panel: Axes) -> None:
    panel.set_ylim(0.0, 1.1 * panel.get_ylim()[1])


def _label(panel: Axes, label: str) -> None:
    panel.set(xlabel="epoch", ylabel=label)
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
