"""Curves of a page: one with single points of a second kind beside it, or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .svg import COMPARED, INK, SERIES, SOFT, TRACK, WIDTH_PT, page_figure, page_svg

HEIGHT_PT = 215.0
MOST_DOTS = 40
LINE: dict[str, Any] = {"markersize": 5, "linewidth": 1.8}
SIGNS = {"o": "\N{BLACK CIRCLE}", "s": "\N{BLACK SQUARE}", "^": "\N{BLACK UP-POINTING TRIANGLE}"}
"""Markers of several lines, and how text shows them."""
Points = Sequence[tuple[float, float]]


def curve_chart(
    curve: Points,
    points: Points,
    label: str,
    title: str,
    prefix: str,
    within: tuple[float, float] | None = None,
) -> str:
    """Draw a line with a dot at every value, and hollow dots.

    Args:
        curve: (x, y) of the line, in ascending x.
        points: (x, y) of the hollow dots; may be empty.
        label: of the x axis; what the y axis is belongs into the caption.
        title: said to those who do not see the drawing.
        prefix: makes the ids in the drawing unique within a page.
        within: ends of the y axis, the same for drawings that are to be compared; None: those of
            the values.

    Returns:
        an `<svg>` element, without references to anything outside.
    """
    with page_figure(HEIGHT_PT, prefix) as figure:
        axes = _axes(figure, label, within, [x for x, _ in curve])
        x, y = zip(*curve, strict=True)
        axes.plot(x, y, color=SERIES[0], marker="o" if len(curve) <= MOST_DOTS else "", **LINE)
        if points:
            style: Any = {"facecolors": "none", "edgecolors": SOFT, "linewidths": 1.4, "zorder": 3}
            at_x, at_y = zip(*points, strict=True)
            axes.scatter(at_x, at_y, s=42, **style)
        return page_svg(figure, title, prefix)


def curves_chart(
    curves: Sequence[Points], label: str, title: str, prefix: str, within: tuple[float, float]
) -> str:
    """Draw several lines, told apart by colour and by the `SIGNS` at their values.

    Args:
        curves: (x, y) of each line, in ascending x.
        label: of the x axis.
        title: said to those who do not see the drawing.
        prefix: makes the ids in the drawing unique within a page.
        within: ends of the y axis.

    Returns:
        an `<svg>` element, without references to anything outside.
    """
    markers = tuple(SIGNS)
    with page_figure(HEIGHT_PT, prefix) as figure:
        axes = _axes(figure, label, within, [x for curve in curves for x, _ in curve])
        for i, curve in enumerate(curves):
            x, y = zip(*curve, strict=True)
            every = max(1, len(curve) // 20)
            axes.plot(
                x,
                y,
                color=COMPARED[i % len(COMPARED)],
                marker=markers[i % len(markers)],
                markevery=every,
                **LINE,
            )
        return page_svg(figure, title, prefix)


def _axes(
    figure: Figure, label: str, within: tuple[float, float] | None, x: Sequence[float]
) -> Any:
    left, bottom = 46 / WIDTH_PT, 44 / HEIGHT_PT
    axes = figure.add_axes((left, bottom, 0.985 - left, 0.96 - bottom), frameon=False)
    axes.grid(axis="y", color=TRACK, linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=SOFT, labelcolor=SOFT)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=max(x) > 1.0))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    if within is not None:
        axes.set_ylim(*within)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(label, color=INK)
    return axes
