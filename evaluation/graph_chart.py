"""The graph of a page: its nodes from top to bottom, arcs where an edge is not to the next one.

Edges that go up (feedback) and edges that skip nodes are arcs, on the right and on the left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.patches import FancyArrowPatch

from mpo_snn.page.rows import shorten
from mpo_snn.page.svg import INK, SERIES, SOFT, WIDTH_PT, page_figure, page_svg

ROW_PT = 34.0
BOX_PT = 22.0
MARGIN_PT = 46.0


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


def graph_chart(
    nodes: Sequence[DrawnNode], edges: Sequence[tuple[str, str]], title: str, prefix: str
) -> str:
    """Draw a graph.

    Args:
        nodes: in the order in which signals pass through them.
        edges: pairs of names.
        title: said to those who do not see the drawing.
        prefix: makes the ids in the drawing unique within a page.

    Returns:
        an `<svg>` element, without references to anything outside.
    """
    height = ROW_PT * len(nodes) + 4
    place = {node.name: index for index, node in enumerate(nodes)}
    with page_figure(height, prefix) as figure:
        axes = figure.add_axes((0, 0, 1, 1), frameon=False)
        axes.set(xlim=(0, WIDTH_PT), ylim=(height, 0))
        axes.set_axis_off()
        for index, node in enumerate(nodes):
            _draw_node(axes, node, index * ROW_PT + 2)
        for source, target in edges:
            _draw_edge(axes, place[source], place[target])
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
