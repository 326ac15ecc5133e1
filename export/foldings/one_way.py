"""Branches side by side, one after the other, for readers that run nodes in depth-first order.

Such a reader walks from a node into the branch listed first, through where branches meet, and runs
what the other branch gives too late. A layer of zeros from the end of one branch to the head of
the other adds nothing to what arrives there, and makes the walk come by: first the one branch, then
the other, then where they meet. Read back, layers of zeros are gone.
"""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import nir
import numpy as np

from .edge_order import run_order, sort_edges
from .flow import Flow, Shape
from .weights import WEIGHTED

MOST = 200
"""Pairs of branches that are put in order at most."""


def put_branches_in_order(flow: Flow) -> Flow:
    """The flow, edges sorted, with branches in order where layers of zeros can do it."""
    flow = sort_edges(flow)
    for _ in range(MOST):
        found = _late_source(flow)
        if found is None:
            return flow
        end, head = found
        layer = _zeros(flow.shapes[end], flow.input_shape(head))
        if layer is None:
            return flow
        name = flow.free_name(f"{end}.{head}.zero")
        edges = [*flow.edges, (end, name), (name, head)]
        flow = sort_edges(replace(flow, nodes={**flow.nodes, name: layer}, edges=edges))
        flow = flow.noting(f"'{head}' behind '{end}', for readers that walk depth first")
    return flow


def drop_zero_layers(flow: Flow) -> Flow:
    """The flow without layers of zeros beside which other values arrive."""
    for name in [n for n in flow.nodes if flow.kind(n) in WEIGHTED]:
        node = flow.nodes[name]
        targets = flow.targets(name)
        if np.any(node.weight) or np.any(getattr(node, "bias", 0.0)):
            continue
        if all(len(flow.sources(target)) > 1 for target in targets):
            edges = [edge for edge in flow.edges if name not in edge]
            nodes = {n: x for n, x in flow.nodes.items() if n != name}
            flow = replace(flow, nodes=nodes, edges=edges)
    return flow


def _late_source(flow: Flow) -> tuple[str, str] | None:
    """A node that runs after one that it feeds, and the head of the branch to run after it."""
    order = {name: i for i, name in enumerate(run_order(flow))}
    forward = [edge for edge in flow.edges if edge not in flow.back_edges]
    graph = nx.DiGraph(forward)
    late = [(a, b) for a, b in forward if order.get(a, 0) > order.get(b, 0)]
    for end, meeting in sorted(late, key=lambda edge: order[edge[1]]):
        before = nx.ancestors(graph, end) | {end}
        branch = (nx.ancestors(graph, meeting) | {meeting}) - before
        head = min((n for n in branch if n in order), key=order.__getitem__)
        if head != meeting:
            return end, head
    return None


def _zeros(source: Shape, target: Shape) -> nir.NIRNode | None:
    """A layer of zeros from values of one shape to values of another; None if there is none."""
    if len(source) == len(target) == 1:
        return nir.Linear(np.zeros((*target, *source)))
    if len(source) != 3 or len(target) != 3:
        return None
    grow = [b - a for a, b in zip(source[1:], target[1:], strict=True)]
    side = max(1, 1 - min(grow)) if min(grow) < 0 else 1 + max(grow) % 2
    padding = [(g + side - 1) // 2 for g in grow]
    if any((g + side - 1) % 2 for g in grow) or min(padding) < 0:
        return None
    return nir.Conv2d(
        input_shape=source[1:],
        weight=np.zeros((target[0], source[0], side, side)),
        stride=(1, 1),
        padding=tuple(padding),
        dilation=(1, 1),
        groups=1,
        bias=np.zeros(target[0]),
    )
