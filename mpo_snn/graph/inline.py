"""Dissolving the nested subgraphs of a NIR graph into one flat graph."""

from __future__ import annotations

from dataclasses import dataclass

import nir

from mpo_snn.errors import GraphError

from .connections import nodes_told
from .kinds import kind_of


@dataclass(frozen=True)
class FlatGraph:
    """A graph without subgraphs.

    Args:
        nodes: the nodes by name; those of a subgraph are called "subgraph.node".
        edges: (source, target) in stored order. A pair that stands twice counts twice in the sum
            at its target; this happens where two ways through a subgraph become one.
        inputs: the names of the graph's own Input nodes.
        outputs: the names of the graph's own Output nodes.
    """

    nodes: dict[str, nir.NIRNode]
    edges: list[tuple[str, str]]
    inputs: list[str]
    outputs: list[str]


def inline(graph: nir.NIRGraph) -> FlatGraph:
    """Dissolve every subgraph, at any depth.

    An edge into a subgraph becomes one edge to each node that its Input feeds, an edge out of it
    one from each node that feeds its Output; the Input and Output of the subgraph vanish. The
    order of the edges that leave a node is kept, with what replaces an edge in its place. The
    nodes are shared with the argument, which stays as it is, but for those of which it says
    something (`connections.nodes_told`).

    Raises:
        GraphError: if a subgraph has not exactly one Input and one Output, an edge names no node,
            two nodes get the same dotted name, or subgraphs feed each other through nothing.
    """
    flat = expand(graph)
    nodes, edges = dict(flat.nodes), list(flat.edges)
    ends = {*flat.inputs, *flat.outputs}
    for name in flat.nodes:
        if kind_of(flat.nodes[name]) in ("Input", "Output") and name not in ends:
            edges = _contract(name, edges)
            del nodes[name]
    return FlatGraph(nodes, edges, flat.inputs, flat.outputs)


def expand(graph: nir.NIRGraph) -> FlatGraph:
    """Unpack every subgraph but keep its Input and Output as nodes of their own.

    The result has the names and the checks of `inline`, and shows the shapes that the subgraphs
    declare at their borders.
    """
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[tuple[str, str]] = []
    _unpack(graph, "", nodes, edges)
    return FlatGraph(
        nodes,
        edges,
        inputs=[name for name, node in graph.nodes.items() if kind_of(node) == "Input"],
        outputs=[name for name, node in graph.nodes.items() if kind_of(node) == "Output"],
    )


def border(graph: nir.NIRGraph, kind: str, where: str) -> str:
    """Return the name of a subgraph's only Input or Output, relative to the subgraph.

    Raises:
        GraphError: if it has none or several.
    """
    names: list[str] = [name for name, node in graph.nodes.items() if kind_of(node) == kind]
    if len(names) != 1:
        found = ", ".join(repr(name) for name in names) or "none"
        raise GraphError(f"subgraph {where!r} must have exactly one {kind}, found {found}")
    return names[0]


def _unpack(
    graph: nir.NIRGraph,
    prefix: str,
    nodes: dict[str, nir.NIRNode],
    edges: list[tuple[str, str]],
) -> None:
    entries: dict[str, str] = {}
    exits: dict[str, str] = {}
    for name, node in nodes_told(graph).items():
        full = prefix + name
        if kind_of(node) == "NIRGraph":
            entries[name] = f"{full}.{border(node, 'Input', full)}"
            exits[name] = f"{full}.{border(node, 'Output', full)}"
            _unpack(node, f"{full}.", nodes, edges)
        elif full in nodes:
            raise GraphError(
                f"two nodes are called {full!r} once subgraphs are dissolved; rename one of them"
            )
        else:
            nodes[full] = node
            entries[name] = exits[name] = full
    for source, target in graph.edges:
        if source not in exits or target not in entries:
            missing = source if source not in exits else target
            raise GraphError(
                f"edge ({prefix + source!r}, {prefix + target!r}) names {prefix + missing!r}, "
                "which is not in the graph"
            )
        edges.append((exits[source], entries[target]))


def _contract(name: str, edges: list[tuple[str, str]]) -> list[tuple[str, str]]:
    targets = [target for source, target in edges if source == name]
    if name in targets:
        raise GraphError(
            f"the subgraph with {name!r} feeds itself without a node in between; "
            "a loop needs a node with state"
        )
    contracted: list[tuple[str, str]] = []
    for source, target in edges:
        if target == name:
            contracted.extend((source, onward) for onward in targets)
        elif source != name:
            contracted.append((source, target))
    return contracted
