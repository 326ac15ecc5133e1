"""Where the one-step delay of a loop sits.

A NIR graph does not say how a loop is run in discrete time. The reading here:

1. Take a depth-first walk from the Input, trying the edges of a node in stored order. An edge to a
   node that the walk has entered and not yet left is a back edge. Without its back edges the graph
   has no cycle.
2. The loop of a back edge u -> h is every node on a way from h to u that uses no back edge. Its
   tail is u and what leads to u through stateless nodes of the loop; a stateful u has no tail.
3. The delay of one step sits at the output of the loop's last stateful nodes, in front of the
   tail. So h does not see u but the late value of u: a stateful node of the loop gives its output
   of the previous step (zero before the first one), a stateless node of the tail is evaluated on
   the late values of its sources in the loop, and what reaches the tail from elsewhere counts as
   it is in the present step. A bias in the tail therefore acts from step 0 on, and what the tail
   feeds outside the loop is not delayed.
4. If this leaves a cycle without a delay (through the tails of several loops), the rule is
   applied again to what it made.

Where all sources of the tail are in the loop, the late value of u is u of one step ago, and before
the first step what u makes of silence (its bias, say): the edge u -> h is delayed, with that start.
Where they are not, the part of the tail that also sees the present step is evaluated twice, once
as it is and once, as a clone, on late values; if nothing but the loop reads it, the clone takes its
place. A cycle without any stateful node is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import networkx as nx

from mpo_snn.errors import GraphError

from .inline import FlatGraph
from .kinds import is_stateful


@dataclass(frozen=True)
class Link:
    """An edge whose target reads the source's value of this step, or of the previous one."""

    source: str
    target: str
    delayed: bool = False


@dataclass(frozen=True)
class Delayed:
    """A graph with its delays in place.

    Args:
        origin: for each thing to evaluate, the node whose operation it is; its own name unless it
            is a clone.
        links: the edges; without the delayed ones they have no cycle.
    """

    origin: dict[str, str]
    links: list[Link]


@dataclass(frozen=True)
class Walk:
    """A depth-first walk: each node with the one it was entered from, and the back edges."""

    parents: dict[str, str | None]
    back_edges: list[tuple[str, str]]


def walk(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> Walk:
    """Walk depth first from the first node, then from each node that was not yet reached."""
    parents: dict[str, str | None] = {}
    back_edges = []
    entered: set[str] = set()
    for source, target, step in nx.dfs_labeled_edges(_digraph(nodes, edges)):
        if step == "forward":
            parents[target] = None if source == target else source
            entered.add(target)
        elif step == "nontree":
            if target in entered:
                back_edges.append((source, target))
        else:
            entered.discard(target)
    return Walk(parents, back_edges)


def stateless_cycles(flat: FlatGraph) -> list[list[str]]:
    """Find the cycles without a stateful node: one for each set of nodes that are entangled."""
    stateless = [name for name, node in flat.nodes.items() if not is_stateful(node)]
    graph = _digraph(stateless, _within(flat.edges, set(stateless)))
    cycles = []
    for nodes in nx.strongly_connected_components(graph):
        part = graph.subgraph(nodes)
        if part.number_of_edges():
            cycles.append([source for source, _ in nx.find_cycle(part)])
    return sorted(cycles)


def describe_cycle(cycle: Iterable[str]) -> str:
    """Say in a sentence that a cycle has no stateful node."""
    names = list(cycle)
    way = " -> ".join(repr(name) for name in [*names, names[0]])
    return f"the loop {way} has no node with state (a neuron or Delay), so its value is undefined"


def place_delays(flat: FlatGraph) -> Delayed:
    """Apply the rule of this module.

    Raises:
        GraphError: if a cycle has no stateful node.
    """
    cycles = stateless_cycles(flat)
    if cycles:
        raise GraphError("cannot order the graph", [describe_cycle(cycle) for cycle in cycles])
    names = [*flat.inputs, *(name for name in flat.nodes if name not in flat.inputs)]
    graph = Delayed({name: name for name in names}, [Link(*edge) for edge in flat.edges])
    stateful = {name for name, node in flat.nodes.items() if is_stateful(node)}
    while back_edges := walk(graph.origin, _present(graph.links)).back_edges:
        graph = _open_loops(graph, back_edges, stateful)
    return graph


def _open_loops(graph: Delayed, back_edges: list[tuple[str, str]], stateful: set[str]) -> Delayed:
    """Replace every back edge u -> h by an edge from the late value of u."""
    back = set(back_edges)
    forward = [edge for edge in _present(graph.links) if edge not in back]
    without = _digraph(graph.origin, forward)
    position = {name: index for index, name in enumerate(nx.topological_sort(without))}
    incoming: dict[str, list[Link]] = {name: [] for name in graph.origin}
    for link in graph.links:
        incoming[link.target].append(link)

    late_ends: dict[tuple[str, str], Link] = {}
    clones: dict[tuple[str, tuple[Link, ...]], str] = {}
    origin = dict(graph.origin)
    # A tail may hold the head of another loop, never one that comes before its own: later first.
    for end, head in sorted(back, key=lambda edge: position[edge[1]], reverse=True):
        loop = (nx.descendants(without, head) | {head}) & (nx.ancestors(without, end) | {end})
        late: dict[str, Link] = {}
        for name in sorted(_tail(without, end, loop, graph.origin, stateful), key=position.get):
            if graph.origin[name] in stateful:
                late[name] = Link(name, "", delayed=True)
                continue
            sources = []
            inside = True
            for link in incoming[name]:
                if (link.source, name) in back and not link.delayed:
                    source, inside = late_ends[link.source, name], False
                elif link.source in late and not link.delayed:
                    source = late[link.source]
                    inside = inside and source.delayed
                else:
                    source, inside = link, False
                sources.append(replace(source, target=""))
            if inside:
                late[name] = Link(name, "", delayed=True)
            else:
                key = (name, tuple(sources))
                if key not in clones:
                    clones[key] = _fresh(name, origin)
                    origin[clones[key]] = graph.origin[name]
                late[name] = Link(clones[key], "")
        late_ends[end, head] = late[end]

    links = []
    for link in graph.links:
        if (link.source, link.target) in back and not link.delayed:
            links.append(replace(late_ends[link.source, link.target], target=link.target))
        else:
            links.append(link)
    for (_, sources_of_clone), clone in clones.items():
        links.extend(replace(source, target=clone) for source in sources_of_clone)
    return _drop_unread(Delayed(origin, links), {clone: name for (name, _), clone in clones.items()})


def _tail(
    without: nx.DiGraph, end: str, loop: set[str], origin: Mapping[str, str], stateful: set[str]
) -> set[str]:
    """Return the tail of a loop together with the stateful nodes in front of it."""
    found = {end}
    waiting = [end]
    while waiting:
        name = waiting.pop()
        if origin[name] not in stateful:
            sources = {source for source in without.predecessors(name) if source in loop} - found
            found |= sources
            waiting.extend(sources)
    return found


def _drop_unread(graph: Delayed, cloned: dict[str, str]) -> Delayed:
    """Let a clone take the place of its original where nothing reads the original any more."""
    origin, links = dict(graph.origin), list(graph.links)
    unread = True
    while unread:
        read = {link.source for link in links}
        unread = {name for name in cloned.values() if name in origin and name not in read}
        for name in unread:
            del origin[name]
        links = [link for link in links if link.target not in unread]
    names: dict[str, str] = {}
    for clone, name in cloned.items():
        if name not in origin and name not in names.values():
            names[clone] = name
    return Delayed(
        {names.get(name, name): node for name, node in origin.items()},
        [
            replace(
                link,
                source=names.get(link.source, link.source),
                target=names.get(link.target, link.target),
            )
            for link in links
        ],
    )


def _fresh(name: str, taken: Mapping[str, str]) -> str:
    clone = f"{name}@late"
    while clone in taken:
        clone += "'"
    return clone


def _present(links: Iterable[Link]) -> list[tuple[str, str]]:
    return [(link.source, link.target) for link in links if not link.delayed]


def _within(edges: Iterable[tuple[str, str]], names: set[str]) -> list[tuple[str, str]]:
    return [edge for edge in edges if names.issuperset(edge)]


def _digraph(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges)
    return graph
