"""The graph of a page: its nodes from top to bottom, arcs where an edge is not to the next one.

Edges that go up (feedback) and edges that skip nodes are arcs, on the right and on the left. A long
graph is cut into up to three drawings, which a wide page puts side by side: an edge that leads from
one to another leaves the first below and enters the next from above.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.patches import FancyArrowPatch

from mpo_snn.page.rows import shorten
from mpo_snn.page.svg import INK, SERIES, SOFT, WIDTH_PT, page_figure, page_svg

ROW_PT = 34.0
BOX_PT = 22.0
MARGIN_PT = 46.0
STUB_PT = 12.0
"""How much of an edge from the drawing before is to be seen."""
MOST_DRAWINGS = 3
MOST_ROWS = 14
"""Nodes of one drawing, unless there are more than `MOST_DRAWINGS` times as many."""


@dataclass(frozen=True)
class DrawnNode:
    """A node.

    Attributes:
        name: of the node.
        note: beside it: kind and shape.
        fires: whether it spikes.
    """

    name: str
    note: str
    fires: bool


def graph_charts(
    nodes: Sequence[DrawnNode], edges: Sequence[tuple[str, str]], title: str, prefix: str
) -> list[str]:
    """Draw a graph, in one drawing or several.

    Args:
        nodes: in the order in which signals pass through them.
        edges: pairs of names.
        title: said to those who do not see the drawing.
        prefix: makes the ids in the drawing unique within a page.

    Returns:
        `<svg>` elements, without references to anything outside.
    """
    place = {node.name: index for index, node in enumerate(nodes)}
    ends = [(place[source], place[target]) for source, target in edges]
    drawings = min(MOST_DRAWINGS, math.ceil(len(nodes) / MOST_ROWS))
    rows = math.ceil(len(nodes) / drawings)
    return [
        _draw_rows(nodes, ends, range(start, min(start + rows, len(nodes))), title, prefix)
        for start in range(0, len(nodes), rows)
    ]


def _draw_rows(
    nodes: Sequence[DrawnNode],
    edges: Sequence[tuple[int, int]],
    rows: range,
    title: str,
    prefix: str,
) -> str:
    """Some of the nodes, and all edges that are beside them."""
    top = rows.start * ROW_PT - (STUB_PT if rows.start else 0.0)
    bottom = rows.stop * ROW_PT + 4
    prefix = f"{prefix}-{rows.start}"
    with page_figure(bottom - top, prefix) as figure:
        axes = figure.add_axes((0, 0, 1, 1), frameon=False)
        axes.set(xlim=(0, WIDTH_PT), ylim=(bottom, top))
        axes.set_axis_off()
        for index in rows:
            _draw_node(axes, nodes[index], index * ROW_PT + 2)
        for source, target in edges:
            if max(source, target) >= rows.start and min(source, target) < rows.stop:
                _draw_edge(axes, source, target)
        return page_svg(figure, title, prefix)


def _draw_node(axes: Any, node: DrawnNode, top: float) -> None:
    left, right = MARGIN_PT, WIDTH_PT - MARGIN_PT
    colour = SERIES[2] if node.fires else "none"
    axes.fill(
        (left, right, right, left),
        (top, top, top + BOX_PT, top + BOX_PT),
        facecolor=colour,
        edgecolor=SOFT,
        linewidth=0.8,
    )
    text: dict[str, Any] = {"fontsize": 10.5, "va": "baseline", "parse_math": False}
    axes.text(left + 7, top + 15, shorten(node.name, 18), color=INK, ha="left", **text)
    axes.text(right - 7, top + 15, node.note, color=INK, ha="right", **text)


def _draw_edge(axes: Any, source: int, target: int) -> None:
    style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 7, "linewidth": 0.9}
    if target == source + 1:
        x = WIDTH_PT / 2
        ends = ((x, source * ROW_PT + 2 + BOX_PT), (x, target * ROW_PT + 2))
        axes.add_patch(FancyArrowPatch(*ends, shrinkA=0, shrinkB=0, color=SOFT, **style))
        return
    forward = target > source
    x = MARGIN_PT if forward else WIDTH_PT - MARGIN_PT
    middle = 2 + BOX_PT / 2
    reach = min(MARGIN_PT - 6, 12.0 + 4.0 * abs(target - source))
    length = max(1, abs(target - source)) * ROW_PT
    axes.add_patch(
        FancyArrowPatch(
            (x, source * ROW_PT + middle + 4),
            (x, target * ROW_PT + middle - 4),
            # the arc bulges by rad / 2 of its length, away from the boxes
            connectionstyle=f"arc3,rad={2 * reach / length:.4f}",
            shrinkA=0,
            shrinkB=0,
            color=SERIES[0],
            **style,
        )
    )
