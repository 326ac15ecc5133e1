"""The figures of `mpo-study dynamics` (Figures 1, 3, 4 and 5 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from .study_figures import band, calm_style, panels
from .study_frame import frame, heading_of
from .study_layer_grid import layer_grid, shown
from .study_membranes import membranes
from .study_plan import Configuration, Plan
from .study_series import look_of, series_of
from .study_watched import Seen

FIGURES = ("training-curves", "membranes", "width-and-sigma", "gradient-norms", "coverage")
_MOST_DOTS = 20
"""Epochs up to which they are marked: of few, a line alone would show little."""


def dynamics_figures(
    plan: Plan, configurations: Sequence[Configuration], seen: Seen
) -> dict[str, Figure]:
    """All figures by file name; empty ones if there is no configuration.

    Args:
        plan: of the study.
        configurations: those of which a run did not diverge.
        seen: what their runs wrote down.
    """
    if not configurations:
        return {name: Figure() for name in FIGURES}
    with calm_style():
        drawn = (
            _training_curves(plan, configurations, seen),
            membranes(plan, configurations, seen),
            _width_and_sigma(plan, configurations, seen),
            _over_epochs(plan, configurations, seen, "gradient_norm"),
            _over_epochs(plan, configurations, seen, "coverage"),
        )
    return dict(zip(FIGURES, drawn, strict=True))


def _training_curves(plan: Plan, configurations: Sequence[Configuration], seen: Seen) -> Figure:
    figure, axes = panels(2, size=(3.6, 2.7))
    series = series_of(configurations, _dotted(plan))
    for panel, measure, label in (
        (axes[0], "train_accuracy", "training accuracy / %"),
        (axes[1], "test_accuracy", f"{plan.recipe.data.evaluated_on} accuracy / %"),
    ):
        for one in series:
            curve = seen.curve(measure, one.name)
            band(panel, _scaled(curve, 100.0), one.look, one.shade)
        panel.set(xlabel="epoch", ylabel=label)
        _whole_epochs(panel)
    frame(figure, heading_of(plan), [one.key for one in series])
    return figure


def _width_and_sigma(plan: Plan, configurations: Sequence[Configuration], seen: Seen) -> Figure:
    layers = shown(seen.layers("width"))
    figure, grid = layer_grid(configurations, layers, "volt", "epoch")
    looks = {
        measure: look_of(place, _dotted(plan)) for measure, place in (("sigma", 1), ("width", 0))
    }
    for row, configuration in zip(grid, configurations, strict=True):
        for panel, layer in zip(row, layers, strict=True):
            for measure, look in looks.items():
                band(panel, seen.curve(measure, configuration.name, layer), look)
    for panel in grid[0]:
        _from_zero(panel)
    _whole_epochs(grid[0][0])
    frame(
        figure,
        heading_of(plan),
        [Line2D([], [], label=measure, **look) for measure, look in looks.items()],
    )
    return figure


def _over_epochs(
    plan: Plan, configurations: Sequence[Configuration], seen: Seen, measure: str
) -> Figure:
    """One panel a layer, one line a configuration."""
    layers = shown(seen.layers(measure))
    figure, axes = panels(len(layers), 2 if len(layers) == 4 else 3, (2.8, 2.2))
    series = series_of(configurations, _dotted(plan))
    scale = 100.0 if measure == "coverage" else 1.0
    for panel, layer in zip(axes, layers, strict=True):
        for one in series:
            curve = seen.curve(measure, one.name, layer)
            band(panel, _scaled(curve, scale), one.look, one.shade)
        label = "coverage / %" if measure == "coverage" else "gradient, L2 norm"
        panel.set(title=layer, xlabel="epoch", ylabel=label)
        _whole_epochs(panel)
        if measure == "gradient_norm":
            _from_zero(panel)
    frame(figure, heading_of(plan), [one.key for one in series])
    return figure


def _scaled(curve: Mapping[float, Sequence[float]], scale: float) -> dict[float, list[float]]:
    return {epoch: [scale * value for value in values] for epoch, values in curve.items()}


def _dotted(plan: Plan) -> bool:
    return plan.recipe.epochs <= _MOST_DOTS


def _from_zero(panel: Axes) -> None:
    panel.set_ylim(0.0, 1.1 * panel.get_ylim()[1])


def _whole_epochs(panel: Axes) -> None:
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
