"""Edges in an order in which every reader that follows them runs each node after its sources.

norse and sinabs run nodes in the order of a depth-first walk over the edges as listed, and give
the value of the last one. From every node the longest way to the Output is listed first, and what
only leads back into a loop before that. The walk that places a loop's delay must find the same
back edges as before; otherwise the order stays.
"""

from __future__ import annotations

from dataclasses import replace

from .flow import Flow


def sort_edges(flow: Flow) -> Flow:
    """The flow with its edges sorted; nodes and edges stay the same."""
    distance = _longest_ways(flow)
    order = {name: i for i, name in enumerate(flow.nodes)}
    edges = sorted(
        flow.edges, key=lambda edge: (order[edge[0]], -distance.get(edge[1], float("inf")))
    )
    changed = replace(flow, edges=edges)
    return changed if changed.back_edges == flow.back_edges else flow


def run_order(flow: Flow) -> list[str]:
    """Names in the order of a depth-first walk from the Input over the edges as listed."""
    order: list[str] = []
    waiting = list(flow.flat.inputs[:1])
    while waiting:
        name = waiting.pop()
        if name not in order:
            order.append(name)
            waiting += reversed(flow.targets(name))
    return order


def _longest_ways(flow: Flow) -> dict[str, int]:
    """Edges on the longest way to the Output without back edges, by node; only where there is one.

    Nodes that only lead back have none.
    """
    forward = [edge for edge in flow.edges if edge not in flow.back_edges]
    targets: dict[str, list[str]] = {name: [] for name in flow.nodes}
    for source, target in forward:
        targets[source].append(target)
    found: dict[str, int] = {name: 0 for name in flow.flat.outputs}
    for name in reversed(_topological(targets)):
        ways = [found[t] + 1 for t in targets[name] if t in found]
        if ways:
            found[name] = max(ways)
    return found


def _topological(targets: dict[str, list[str]]) -> list[str]:
    waiting_for = {name: 0 for name in targets}
    for ends in targets.values():
        for end in ends:
            waiting_for[end] += 1
    ready = [name for name, count in waiting_for.items() if not count]
    order = []
    while ready:
        name = ready.pop()
        order.append(name)
        for end in targets[name]:
            waiting_for[end] -= 1
            if not waiting_for[end]:
                ready.append(end)
    return order
