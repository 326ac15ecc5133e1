"""The drawn graph: every node once, every edge where it is beside the nodes of a drawing."""

from __future__ import annotations

import re

import pytest

from mpo_snn.evaluation.graph_chart import MOST_DRAWINGS, MOST_ROWS, DrawnNode, graph_charts


def drawn(count, skips=()):
    nodes = [DrawnNode(f"n{k}", "LIF", k % 2 == 0) for k in range(count)]
    chain = [(f"n{k}", f"n{k + 1}") for k in range(count - 1)]
    return graph_charts(nodes, [*chain, *skips], "The graph", "graph")


def names_in(drawing):
    return [int(name) for name in re.findall(r">n(\d+)<", drawing)]


@pytest.mark.parametrize("count", [1, 2, MOST_ROWS, MOST_ROWS + 1, 2 * MOST_ROWS + 1, 42, 100])
def test_every_node_is_in_one_drawing_and_in_order(count):
    drawings = drawn(count)
    assert len(drawings) == min(MOST_DRAWINGS, -(-count // MOST_ROWS))
    assert [name for drawing in drawings for name in names_in(drawing)] == list(range(count))
    heights = [float(re.search(r'viewBox="0 0 340 ([\d.]+)"', one)[1]) for one in drawings]
    assert max(heights) - min(heights) <= 34 * 2 + 12
    assert all(f'id="graph-{names_in(one)[0]}-' in one for one in drawings)


def test_an_edge_between_drawings_is_in_both():
    """An arrow is a line and a head: two paths more wherever the edge is to be seen."""
    count = 2 * MOST_ROWS
    without, with_skip = drawn(count), drawn(count, [("n3", f"n{count - 3}")])
    inside = drawn(count, [("n3", "n7")])

    def paths(drawings):
        return [one.count("<path") for one in drawings]

    first, second = paths(without)
    assert paths(with_skip) == [first + 2, second + 2]
    assert paths(inside) == [first + 2, second]
