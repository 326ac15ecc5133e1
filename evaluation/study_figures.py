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
    "figure.titlesize": 10.0,
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
    look: Mapping[str, Any],
    shade: float = 0.15,
) -> None:
    """The mean over seeds as a line, in a band of one sample standard deviation on either side.

    Of a single position, where a band has no width, a bar takes its place.

    Args:
        axes: where.
        points: by position, the value of every seed; a position without any is left out.
        look: of the line; the band has its colour.
        shade: opacity of the band.
    """
    x = [position for position, values in points.items() if values]
    if not x:
        return
    means = [mean(points[position]) for position in x]
    spreads = [std(points[position]) or 0.0 for position in x]
    axes.plot(x, means, **look)
    if not any(spreads):
        return
    low = [m - s for m, s in zip(means, spreads, strict=True)]
    high = [m + s for m, s in zip(means, spreads, strict=True)]
    if len(x) == 1:
        axes.vlines(x, low, high, color=look["color"], alpha=0.5, linewidth=1.0)
    else:
        axes.fill_between(x, low, high, color=look["color"], alpha=shade, linewidth=0)


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


def mean_of(n: int) -> str:
    """What a line without a band shows, for a label."""
    return "one seed" if n == 1 else f"mean of {n} seeds"


def percent(values: Sequence[float], digits: int = 2) -> str:
    """Shares as `98.12 ± 0.31`, in percent; the spread only where there is one."""
    if not values:
        return "-"
    deviation = std(values)
    text = f"{100 * mean(values):.{digits}f}"
    return text if deviation is None else f"{text} ± {100 * deviation:.{digits}f}"
