"""Confusion: what the classes are taken for, as a heat map, or as a list where they are many.

The heat map has a row for each class and a column for each answer. A cell is the darker, the larger
its share of its row, and wrong answers, which are few, are drawn by the root of theirs: one in a
hundred is to be seen. Beyond `MOST_CLASSES` a map could not be read; the list names what is
confused most often, and the JSON has everything.
"""

from __future__ import annotations

import math
from typing import Any

from mpo_snn.page.quantities import show_count
from mpo_snn.page.rows import shorten
from mpo_snn.page.svg import INK, SERIES, SOFT, TRACK, WIDTH_PT, bare_axes, page_figure, page_svg

MOST_CLASSES = 20
MOST_LISTED = 12
MOST_BESIDE = 12
"""With more classes the map is twice as wide on a wide page, so that its numbers are legible."""
LABEL_PT = 6.2
"""Width of one character of a label, about."""
LONGEST_LABEL = 12
HEAD_PT = 18.0
DARKEST = 0.55
"""Opacity of a cell with all samples of its class: numbers are written over it."""


def confusion_chart(decisions: dict[str, Any]) -> str | None:
    """The heat map, an `<svg>` element; None where the classes are too many for one.

    Args:
        decisions: that part of a report.
    """
    counts = decisions["confusion"]
    if len(counts) > MOST_CLASSES:
        return None
    names = [shorten(one["name"], LONGEST_LABEL) for one in decisions["classes"]]
    longest = max(map(len, names))
    left = HEAD_PT + 8 + LABEL_PT * longest
    cell = (WIDTH_PT - left) / len(names)
    is_upright = LABEL_PT * longest > cell
    top = HEAD_PT + 6 + (LABEL_PT * longest if is_upright else 12.0)
    height = top + cell * len(names)
    with page_figure(height, "confusion") as figure:
        axes = bare_axes(figure, height)
        axes.set_xlim(0, WIDTH_PT)
        text: dict[str, Any] = {"color": SOFT, "fontsize": 10.5, "parse_math": False}
        axes.text(WIDTH_PT, 11, "answer", ha="right", va="baseline", **text)
        axes.text(0, top + 2, "class", ha="left", va="top", rotation=90, **text)
        text["color"] = INK
        for i, name in enumerate(names):
            middle = (i + 0.5) * cell
            axes.text(left - 6, top + middle, name, ha="right", va="center", **text)
            turn = {"rotation": 90 if is_upright else 0}
            axes.text(left + middle, top - 5, name, ha="center", va="bottom", **turn, **text)
        widest = max(len(show_count(count)) for row in counts for count in row)
        size = min(10.5, (cell - 2) / (0.62 * widest))
        for i, row in enumerate(counts):
            _row(axes, row, i, (left, top + i * cell), cell, size)
        return page_svg(figure, "What each class is taken for", "confusion")


def _row(
    axes: Any, row: list[int], label: int, corner: tuple[float, float], cell: float, size: float
) -> None:
    """Cells of one class from the upper left corner on, with numbers of this size."""
    (left, top), total, gap = corner, sum(row), 1.0
    for answer, count in enumerate(row):
        at = left + answer * cell
        place: dict[str, Any] = {"left": at, "height": cell - gap, "linewidth": 0}
        middle = top + (cell - gap) / 2
        axes.barh(middle, cell - gap, color=TRACK, **place)
        if not count:
            continue
        share = count / total if answer == label else math.sqrt(count / total)
        axes.barh(middle, cell - gap, color=SERIES[0], alpha=DARKEST * share, **place)
        style: dict[str, Any] = {"fontsize": size, "ha": "center", "va": "center", "color": INK}
        axes.text(at + (cell - gap) / 2, middle, show_count(count), **style)


def most_confused(decisions: dict[str, Any]) -> list[dict[str, Any]]:
    """The most frequent wrong answers: `label`, `answer`, `count`, most first; where they are many.

    Empty where there is a heat map.

    Args:
        decisions: that part of a report.
    """
    counts = decisions["confusion"]
    if len(counts) <= MOST_CLASSES:
        return []
    wrong = [
        {"label": label, "answer": answer, "count": count}
        for label, row in enumerate(counts)
        for answer, count in enumerate(row)
        if count and answer != label
    ]
    return sorted(wrong, key=lambda one: -one["count"])[:MOST_LISTED]
