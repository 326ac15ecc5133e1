"""Histograms of a page, layer under layer over one axis, with a line where something happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .bar_chart import shorten
from .page_svg import INK, SERIES, SOFT, TRACK, WIDTH_PT, page_figure, page_svg

TITLE_PT = 20.0
HEIGHT_PT = 46.0
AXIS_PT = 40.0


@dataclass(frozen=True)
class Histogram:
    """Counts of one layer.

    Attributes:
        name: of the layer.
        note: beside it.
        edges: of the bins, one more than there are counts.
        counts: of the bins.
    """

    name: str
    note: str
    edges: Sequence[float]
    counts: Sequence[int]


def histogram_chart(
    histograms: Sequence[Histogram], line: float, label: str, title: str, prefix: str
) -> str:
    """Draw histograms from top to bottom, each to its own largest count.

    Args:
        histograms: all over the same range.
        line: where a vertical line stands.
        label: of the x axis.
        title: said to those who do not see the drawing.
        prefix: makes the ids in the drawing unique within a page.

    Returns:
        an `<svg>` element, without references to anything outside.
    """
    each = TITLE_PT + HEIGHT_PT
    height = each * len(histograms) + AXIS_PT
    with page_figure(height, prefix) as figure:
        axes = figure.add_axes(
            (4 / WIDTH_PT, AXIS_PT / height, 1 - 8 / WIDTH_PT, 1 - AXIS_PT / height), frameon=False
        )
        low, high = histograms[0].edges[0], histograms[0].edges[-1]
        axes.set(xlim=(low, high), ylim=(height - AXIS_PT, 0))
        text: dict[str, Any] = {"fontsize": 11.5, "va": "baseline", "parse_math": False}
        for index, one in enumerate(histograms):
            bottom = (index + 1) * each
            axes.text(low, bottom - HEIGHT_PT - 7, shorten(one.name), color=INK, ha="left", **text)
            axes.text(high, bottom - HEIGHT_PT - 7, one.note, color=SOFT, ha="right", **text)
            largest = max(*one.counts, 1)
            lengths = [-HEIGHT_PT * count / largest for count in one.counts]
            widths = [b - a for a, b in zip(one.edges, one.edges[1:], strict=False)]
            axes.bar(
                one.edges[:-1], lengths, widths, bottom, align="edge", color=SERIES[1], linewidth=0
            )
            axes.plot((low, high), (bottom, bottom), color=TRACK, linewidth=1)
            axes.plot((line, line), (bottom - HEIGHT_PT, bottom), color=INK, linewidth=1.1)
        axes.set_yticks([])
        axes.tick_params(length=0, colors=SOFT, labelcolor=SOFT)
        axes.set_xlabel(label, color=INK)
        return page_svg(figure, title, prefix)
