"""The order in which a graph is evaluated: single nodes, and loops that run step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import networkx as nx

from .inline import FlatGraph
from .loops import Source, place_delays


@dataclass(frozen=True)
class Step:
    """One evaluation of a node in every timestep.

    Args:
        name: its own name; that of the node unless it is a clone.
        node: the node of the flat graph whose operation it is.
        sources: what is added up to its input.
    """

    name: str
    node: str
    sources: tuple[Source, ...]

    @property
    def clone_of(self) -> str | None:
        """The node that is evaluated here a second time, None for its first evaluation.

        Operations are counted, and spikes recorded, at the first evaluation only.
        """
        return None if self.name == self.node else self.node


@dataclass(frozen=True)
class Group:
    """Steps that belong together, in the order of their evaluation.

    Args:
        steps: a single step, or those of a loop.
        is_loop: whether they need each other's previous values, so that one timestep must be done
            before the next one begins. A single step without a loop can run over all of them.
    """

    steps: tuple[Step, ...]
    is_loop: bool


@dataclass(frozen=True)
class Schedule:
    """The groups of a graph, each one after those that it reads."""

    groups: tuple[Group, ...]

    @property
    def steps(self) -> Iterator[Step]:
        """All steps in the order of their evaluation."""
        return (step for group in self.groups for step in group.steps)

    @property
    def delayed(self) -> frozenset[str]:
        """The names of the steps whose previous value is read."""
        return frozenset(
            source.name for step in self.steps for source in step.sources if source.delayed
        )


def schedule(flat: FlatGraph) -> Schedule:
    """Put the nodes in order, with the delays of `mpo_snn.graph.loops` in the loops.

    Groups and steps follow the stored order of nodes and edges as far as they can, so that equal
    graphs have equal schedules.

    Raises:
        GraphError: if a cycle has no stateful node.
    """
    delayed = place_delays(flat)
    sources: dict[str, list[Source]] = {name: [] for name in delayed.origin}
    everything, present = nx.DiGraph(), nx.DiGraph()
    for graph in (everything, present):
        graph.add_nodes_from(delayed.origin)
    for source, target in delayed.edges:
        sources[target].append(source)
        everything.add_edge(source.name, target)
        if not source.delayed:
            present.add_edge(source.name, target)
    steps = {name: Step(name, node, tuple(sources[name])) for name, node in delayed.origin.items()}
    position = {name: index for index, name in enumerate(nx.topological_sort(present))}
    parts = nx.condensation(everything)
    groups = []
    for part in nx.lexicographical_topological_sort(
        parts, key=lambda part: min(position[name] for name in parts.nodes[part]["members"])
    ):
        members = sorted(parts.nodes[part]["members"], key=position.__getitem__)
        is_loop = len(members) > 1 or everything.has_edge(members[0], members[0])
        for source in (source for name in members for source in steps[name].sources):
            assert source.name in members or not source.delayed, f"{source} from another loop"
        groups.append(Group(tuple(steps[name] for name in members), is_loop))
    return Schedule(tuple(groups))
