"""The figures of `mpo-study dynamics` (Figures 1, 3, 4 and 5 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mpo_snn.training.probe import BINS_PER_THRESHOLD, bin_edges

from .study_figures import INK, SERIES, SOFT, band, calm_style, panels, spread
from .study_plan import Configuration, Plan
from .study_watched import Seen

_SHADES = (SOFT, SERIES[5], SERIES[0])
MOST_LAYERS = 6
"""Layers that a figure shows; of more, this many in even steps from the first to the last."""


def _shown(layers: Sequence[str]) -> list[str]:
    """The layers that a figure shows."""
    if len(layers) <= MOST_LAYERS:
        return list(layers)
    last = len(layers) - 1
    return [layers[round(i * last / (MOST_LAYERS - 1))] for i in range(MOST_LAYERS)]


def dynamics_figures(
    plan: Plan, configurations: Sequence[Configuration], seen: Seen
) -> dict[str, Figure]:
    """All figures by file name; configurations of which every run diverged are left out."""
    with calm_style():
        return {
            "training-curves": _training_curves(plan, configurations, seen),
            "membranes": _membranes(plan, configurations, seen),
            "width-and-sigma": _width_and_sigma(plan, configurations, seen),
            "gradient-norms": _over_epochs(plan, configurations, seen, "gradient_norm"),
            "coverage": _over_epochs(plan, configurations, seen, "coverage"),
        }


def _training_curves(plan: Plan, configurations: Sequence[Configuration], seen: Seen) -> Figure:
    figure, axes = panels(2, size=(3.6, 2.7))
    split = plan.recipe.data.evaluated_on
    for panel, measure, label in (
        (axes[0], "train_accuracy", "training accuracy / %"),
        (axes[1], "test_accuracy", f"{split} accuracy / %"),
    ):
        for color, configuration in zip(cycle(SERIES), configurations, strict=False):
            curve = seen.curve(measure, configuration.name)
            band(panel, _scaled(curve, 100.0), color, configuration.title, **_dots(curve))
        _label(panel, label)
    axes[0].set_title(f"{plan.recipe.name}, {spread(len(plan.seeds))}")
    axes[1].legend(loc="lower right")
    return figure


def _membranes(plan: Plan, configurations: Sequence[Configuration], seen: Seen) -> Figure:
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


def _width_and_sigma(plan: Plan, configurations: Sequence[Configuration], seen: Seen) -> Figure:
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
    plan: Plan, configurations: Sequence[Configuration], seen: Seen, measure: str
) -> Figure:
    """One panel a layer, one line a configuration."""
    layers = _shown(seen.layers(measure))
    figure, axes = panels(len(layers), 2 if len(layers) == 4 else 3, (2.8, 2.2))
    for panel, layer in zip(axes, layers, strict=True):
        for color, configuration in zip(cycle(SERIES), configurations, strict=False):
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
