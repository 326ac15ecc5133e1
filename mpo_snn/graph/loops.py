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

from collections.abc import Iterable
from dataclasses import dataclass

import networkx as nx

from mpo_snn.errors import GraphError

from .inline import FlatGraph
from .kinds import is_stateful


@dataclass(frozen=True)
class Source:
    """What is read: the value of this timestep, or of the previous one."""

    name: str
    delayed: bool = False


@dataclass(frozen=True)
class Delayed:
    """A graph with its delays in place.

    Args:
        origin: for each thing to evaluate, the node whose operation it is; its own name unless it
            is a clone.
        edges: (source, target); without the delayed sources they have no cycle.
    """

    origin: dict[str, str]
    edges: list[tuple[Source, str]]


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
    graph = _digraph(flat.nodes, flat.edges)
    graph.remove_nodes_from([name for name, node in flat.nodes.items() if is_stateful(node)])
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
    stateful = {name for name, node in flat.nodes.items() if is_stateful(node)}
    graph = Delayed(
        {name: name for name in names}, [(Source(source), target) for source, target in flat.edges]
    )
    while back_edges := walk(names, _present(graph.edges)).back_edges:
        graph = _Opening(graph, stateful, set(back_edges)).opened()
        names = list(graph.origin)
    return graph


class _Opening:
    """One application of the rule: every back edge u -> h gets the late value of u as its source.

    Args:
        graph: what the back edges were found in.
        stateful: the nodes with state.
        back: the back edges.
    """

    def __init__(self, graph: Delayed, stateful: set[str], back: set[tuple[str, str]]) -> None:
        self.graph = graph
        self.stateful = {name for name, node in graph.origin.items() if node in stateful}
        self.back = back
        forward = [edge for edge in _present(graph.edges) if edge not in back]
        self.acyclic = _digraph(graph.origin, forward)
        self.position = {
            name: index for index, name in enumerate(nx.topological_sort(self.acyclic))
        }
        self.incoming: dict[str, list[Source]] = {name: [] for name in graph.origin}
        for source, target in graph.edges:
            self.incoming[target].append(source)
        self.late: dict[tuple[str, str], Source] = {}
        """The late value of u by back edge (u, h)."""
        self.clones: dict[tuple[str, tuple[Source, ...]], str] = {}
        """The names of the clones by what they are clones of and what they read."""

    def opened(self) -> Delayed:
        """Return the graph with all back edges replaced."""
        # A tail may hold the head of another loop, and that comes after its own head: later first.
        for end, head in sorted(self.back, key=lambda edge: self.position[edge[1]], reverse=True):
            self.late[end, head] = self._late_value(end, head)
        edges = [(self._source(source, target), target) for source, target in self.graph.edges]
        origin = dict(self.graph.origin)
        for (name, sources), clone in self.clones.items():
            origin[clone] = origin[name]
            edges.extend((source, clone) for source in sources)
        cloned = {clone: name for (name, _), clone in self.clones.items()}
        return _drop_unread(Delayed(origin, edges), cloned)

    def _source(self, source: Source, target: str) -> Source:
        """Return what stands for an edge of the graph once the loops are open."""
        if source.delayed:
            return source
        return self.late.get((source.name, target), source)

    def _late_value(self, end: str, head: str) -> Source:
        loop = (nx.descendants(self.acyclic, head) | {head}) & (
            nx.ancestors(self.acyclic, end) | {end}
        )
        values: dict[str, Source] = {}
        for name in self._tail(end, loop):
            if name in self.stateful:
                values[name] = Source(name, delayed=True)
                continue
            sources = tuple(
                values[source.name]
                if source.name in values and self._is_forward(source, name)
                else self._source(source, name)
                for source in self.incoming[name]
            )
            if all(
                source.name in values and self._is_forward(source, name) and late.delayed
                for source, late in zip(self.incoming[name], sources, strict=True)
            ):
                values[name] = Source(name, delayed=True)
            else:
                clone = self.clones.setdefault((name, sources), self._new_name(name))
                values[name] = Source(clone)
        return values[end]

    def _tail(self, end: str, loop: set[str]) -> list[str]:
        """Return the tail of a loop and the stateful nodes in front of it, in order."""
        found = {end}
        waiting = [end]
        while waiting:
            name = waiting.pop()
            if name not in self.stateful:
                sources = loop.intersection(self.acyclic.predecessors(name)) - found
                found |= sources
                waiting.extend(sources)
        return sorted(found, key=self.position.__getitem__)

    def _is_forward(self, source: Source, target: str) -> bool:
        return not source.delayed and (source.name, target) not in self.back

    def _new_name(self, name: str) -> str:
        taken = {*self.graph.origin, *self.clones.values()}
        clone = f"{name}@late"
        while clone in taken:
            clone += "'"
        return clone


def _drop_unread(graph: Delayed, cloned: dict[str, str]) -> Delayed:
    """Let a clone take the place of its original where nothing reads the original any more."""
    origin, edges = dict(graph.origin), list(graph.edges)
    while True:
        read = {source.name for source, _ in edges}
        unread = {name for name in cloned.values() if name in origin and name not in read}
        if not unread:
            break
        for name in unread:
            del origin[name]
        edges = [(source, target) for source, target in edges if target not in unread]
    names = {name: name for name in origin}
    free = {name for name in cloned.values() if name not in origin}
    for clone, name in cloned.items():
        if name in free:
            names[clone] = name
            free.remove(name)
    return Delayed(
        {names[name]: node for name, node in origin.items()},
        [(Source(names[s.name], s.delayed), names[target]) for s, target in edges],
    )


def _present(edges: Iterable[tuple[Source, str]]) -> list[tuple[str, str]]:
    return [(source.name, target) for source, target in edges if not source.delayed]


def _digraph(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges)
    return graph
