"""Histograms of a page, layer under layer over one axis, with a line where something happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .rows import AXIS_PT, axes_below_rows, write_row
from .svg import INK, SERIES, TRACK, page_figure, page_svg

TITLE_PT = 20.0
HEIGHT_PT = 46.0


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
    height = each * len(histograms)
    ends = histograms[0].edges[0], histograms[0].edges[-1]
    with page_figure(height + AXIS_PT, prefix) as figure:
        axes = axes_below_rows(figure, height, ends, label)
        for index, one in enumerate(histograms):
            write_row(axes, one.name, one.note, index * each)
            bottom = (index + 1) * each
            largest = max(*one.counts, 1)
            lengths = [-HEIGHT_PT * count / largest for count in one.counts]
            widths = [b - a for a, b in pairwise(one.edges)]
            axes.bar(
                one.edges[:-1], lengths, widths, bottom, align="edge", color=SERIES[1], linewidth=0
            )
            axes.plot(ends, (bottom, bottom), color=TRACK, linewidth=1)
            axes.plot((line, line), (bottom - HEIGHT_PT, bottom), color=INK, linewidth=1.1)
        return page_svg(figure, title, prefix)
