"""Bar charts of a page: a bar per layer or class on a pale track, its name and value above it.

Names are whole: what is too long for a line goes on in the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from textwrap import wrap
from typing import Any

from .rows import write_row
from .svg import SERIES, SOFT, TRACK, bare_axes, page_figure, page_svg

ROW_PT = 38.0
LINE_PT = 16.0
BAR_PT = 7.0
LONGEST_ROW = 46
"""Characters of a name and a value that are sure to fit side by side."""


@dataclass(frozen=True)
class Bar:
    """One row of a chart.

    Attributes:
        name: what the bar stands for.
        parts: lengths of its parts, >= 0; None where the row has no value.
        label: the value in words, at the end of the row.
        span: lowest and highest value, drawn as a line below the bar; None: no line.
        note: what stands in a line of its own below the name; empty: no line.
    """

    name: str
    parts: Sequence[float] | None
    label: str
    span: tuple[float, float] | None = None
    note: str = ""

    @property
    def lines(self) -> list[str]:
        """The name in lines that fit beside the value."""
        return wrap(self.name, max(LONGEST_ROW - len(self.label), 12)) or [""]


def bar_chart(bars: Sequence[Bar], whole: float, title: str, prefix: str) -> str:
    """Draw one bar per row.

    Args:
        bars: the rows, from top to bottom.
        whole: what the full length of a track stands for.
        title: said to those who do not see the drawing.
        prefix: makes the ids in the drawing unique within a page.

    Returns:
        an `<svg>` element, without references to anything outside.
    """
    tops = [0.0, *accumulate(ROW_PT + LINE_PT * _lines_more(bar) for bar in bars)]
    height = max(tops[-1], ROW_PT)
    with page_figure(height, prefix) as figure:
        axes = bare_axes(figure, height)
        for bar, top in zip(bars, tops, strict=False):
            _draw(axes, bar, top=top, scale=1 / whole if whole else 0.0)
        return page_svg(figure, title, prefix)


def _lines_more(bar: Bar) -> int:
    """Lines of a row besides the first."""
    return len(bar.lines) - 1 + bool(bar.note)


def _draw(axes: Any, bar: Bar, *, top: float, scale: float) -> None:
    name, *rest = bar.lines
    write_row(axes, name, bar.label, top, LONGEST_ROW)
    for line in rest:
        top += LINE_PT
        write_row(axes, line, "", top, LONGEST_ROW)
    if bar.note:
        top += LINE_PT
        write_row(axes, "", bar.note, top)
    if bar.parts is None:
        return
    middle = top + 14 + 7 + BAR_PT / 2
    axes.barh(middle, 1, height=BAR_PT, color=TRACK, linewidth=0)
    left = 0.0
    for part, colour in zip(bar.parts, SERIES, strict=False):
        axes.barh(middle, part * scale, left=left, height=BAR_PT, color=colour, linewidth=0)
        left += part * scale
    if bar.span is not None:
        low, high = (value * scale for value in bar.span)
        below = middle + BAR_PT
        axes.plot((low, high), (below, below), color=SOFT, linewidth=1.2, solid_capstyle="butt")
        axes.vlines((low, high), below - 2.5, below + 2.5, color=SOFT, linewidth=1.2)
