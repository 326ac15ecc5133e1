"""A grid of panels: one row a configuration, one column a layer."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .study_frame import folded
from .study_plan import Configuration

MOST_LAYERS = 6
"""Layers that a figure shows; of more, this many in even steps from the first to the last."""
_PANEL = (2.5, 1.7)
_LETTERS = 20
"""Of a configuration's name, beside a row."""


def shown(layers: Sequence[str]) -> list[str]:
    """The layers that a figure shows."""
    if len(layers) <= MOST_LAYERS:
        return list(layers)
    last = len(layers) - 1
    return [layers[round(i * last / (MOST_LAYERS - 1))] for i in range(MOST_LAYERS)]


def layer_grid(
    configurations: Sequence[Configuration], layers: Sequence[str], y: str, x: str
) -> tuple[Figure, list[list[Axes]]]:
    """The figure, and its panels by row and column; a layer has one y axis, all have one x axis.

    Args:
        configurations: of the rows, named on the left.
        layers: of the columns, named above.
        y: label of the y axes.
        x: label of the x axes.
    """
    across, down = len(layers), len(configurations)
    size = (_PANEL[0] * across, _PANEL[1] * down)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharex="all", sharey="col").tolist()
    for panel, layer in zip(grid[0], layers, strict=True):
        panel.set_title(layer)
    for row, configuration in zip(grid, configurations, strict=True):
        row[0].set_ylabel(f"{folded(configuration.title, _LETTERS)}\n{y}")
    for panel in grid[-1]:
        panel.set_xlabel(x)
    return figure, grid
