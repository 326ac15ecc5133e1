"""Bar charts of a page with several bars a row: one layer, the same quantity in each network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .rows import write_row
from .svg import COMPARED, FONT_PT, SOFT, TRACK, bare_axes, page_figure, page_svg

NAME_PT = 20.0
BAR_PT = 7.0
STEP_PT = 14.0
GAP_PT = 8.0
TRACK_END = 0.82
"""Where the tracks end; behind them stand the values."""


@dataclass(frozen=True)
class BarGroup:
    """One row of a chart.

    Attributes:
        name: what the bars stand for.
        lengths: of its bars from top to bottom, >= 0.
        labels: their values in words.
    """

    name: str
    lengths: Sequence[float]
    labels: Sequence[str]


def group_chart(groups: Sequence[BarGroup], whole: float, title: str, prefix: str) -> str:
    """Draw the bars of each row under its name, in the same order everywhere.

    Args:
        groups: the rows from top to bottom, each with the same number of bars.
        whole: what the full length of a track stands for.
        title: said to those who do not see the drawing.
        prefix: makes the ids in the drawing unique within a page.

    Returns:
        an `<svg>` element, without references to anything outside.
    """
    size = NAME_PT + STEP_PT * max((len(group.lengths) for group in groups), default=1) + GAP_PT
    height = size * max(len(groups), 1)
    with page_figure(height, prefix) as figure:
        axes = bare_axes(figure, height)
        for row, group in enumerate(groups):
            top = row * size
            write_row(axes, group.name, "", top)
            for i, (length, label) in enumerate(zip(group.lengths, group.labels, strict=True)):
                middle = top + NAME_PT + STEP_PT * i + STEP_PT / 2
                axes.barh(middle, TRACK_END, height=BAR_PT, color=TRACK, linewidth=0)
                width = TRACK_END * length / whole if whole else 0.0
                colour = COMPARED[i % len(COMPARED)]
                axes.barh(middle, width, height=BAR_PT, color=colour, linewidth=0)
                axes.text(
                    1, middle, label, color=SOFT, ha="right", va="center", fontsize=FONT_PT - 1.5
                )
        return page_svg(figure, title, prefix)
