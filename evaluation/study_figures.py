"""One calm style for all figures of the studies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, SOFT, GRID = "#3c4650", "#8b979f", "#e4e9eb"
SERIES = ("#00796b", "#c2703d", "#5b6fb5", "#a04a7a", "#7a8b2f", "#4b93b8", "#8a6d4b")
"""Colours that stay apart in print and for those who do not tell red from green."""

_STYLE: Any = {
    "svg.hashsalt": "mpo-snn",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "text.color": INK,
}


@contextmanager
def calm_style() -> Iterator[None]:
    """Inside, figures are made in the style of the studies."""
    with matplotlib.rc_context(_STYLE):
        yield


def panels(
    count: int, columns: int = 3, size: tuple[float, float] = (3.2, 2.5)
) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels, `columns` in a row at most, each of `size` in inches."""
    across = min(count, columns)
    down = -(-count // across)
    figure = Figure(figsize=(size[0] * across, size[1] * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).flatten().tolist()
    for unused in axes[count:]:
        unused.set_axis_off()
    return figure, axes[:count]


def band(
    axes: Axes,
    points: Mapping[float, Sequence[float]],
    color: str,
    label: str | None = None,
    **style: Any,
) -> None:
    """The mean over seeds as a line, in a band of one sample standard deviation on either side.

    Args:
        axes: where.
        points: by position, the value of every seed; a position without any is left out.
        color: of both.
        label: in the legend.
        style: of the line.
    """
    x = [position for position, values in points.items() if values]
    means = [mean(points[position]) for position in x]
    spreads = [std(points[position]) or 0.0 for position in x]
    axes.plot(x, means, color=color, label=label, **style)
    if any(spreads):
        low = [m - s for m, s in zip(means, spreads, strict=True)]
        high = [m + s for m, s in zip(means, spreads, strict=True)]
        axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)


def mean(values: Sequence[float]) -> float:
    """Mean."""
    return sum(values) / len(values)


def std(values: Sequence[float]) -> float | None:
    """Sample standard deviation; None for fewer than two values."""
    if len(values) < 2:
        return None
    middle = mean(values)
    return float((sum((value - middle) ** 2 for value in values) / (len(values) - 1)) ** 0.5)


def spread(n: int) -> str:
    """What a band or bar shows, for a label."""
    return "one seed" if n == 1 else f"mean ± s.d. of {n} seeds"


def percent(values: Sequence[float], digits: int = 2) -> str:
    """Shares as `98.12 ± 0.31`, in percent; the spread only where there is one."""
    if not values:
        return "-"
    deviation = std(values)
    text = f"{100 * mean(values):.{digits}f}"
    return text if deviation is None else f"{text} ± {100 * deviation:.{digits}f}"
