"""How layers of neurons hang together in a NIR graph: their order, the output, the ways between."""

from __future__ import annotations

import networkx as nx

from mpo_snn.graph.inline import FlatGraph
from mpo_snn.graph.loops import walk
from mpo_snn.importer.composites import Wiring, find_neurons

from .linear_path import NoPath

MOST_PATHS = 64
"""Ways into one layer, beyond which a graph is no network of layers."""
Way = tuple[str, list[str]]
"""Where spikes come from, a layer or the input, and the nodes on their way, in order."""


class LayerWiring:
    """The layers of neurons of a flat graph with one input and one output.

    Attributes:
        neurons: the nodes of each layer, by the name of the one that spikes.
        unread: why a node is part of no layer, a line each.
        start: name of the input.
        end: name of the output.
    """

    def __init__(self, flat: FlatGraph) -> None:
        """Find the layers."""
        self._wiring = Wiring(flat)
        self.neurons, self.unread = find_neurons(self._wiring)
        (self.start,), (self.end,) = flat.inputs, flat.outputs

    def output(self) -> str:
        """The layer whose spikes leave the graph.

        Raises:
            NoPath: if it is not one layer's spikes that do.
        """
        name = self.end
        while True:
            sources = self._wiring.sources[name]
            if len(sources) != 1 or (
                sources[0] not in self.neurons and self._wiring.kind(sources[0]) != "Flatten"
            ):
                kinds = ", ".join(self._wiring.kind(source) for source in sources)
                raise NoPath(
                    f"an output that comes from {kinds}",
                    "an output of spikes, from one layer of neurons",
                    "train with --readout spike_count, which ends in neurons",
                )
            name = sources[0]
            if name in self.neurons:
                return name

    def membranes_shown(self) -> list[str]:
        """The membranes that leave the graph as they are, or less what a spike takes off."""
        return [
            name
            for name in self._wiring.sources[self.end]
            if self._wiring.kind(name) in ("I", "LI", "CubaLI")
        ]

    def without_shown(self) -> list[str]:
        """`unread` without the membranes that leave the graph, and their synapses."""
        shown = self.membranes_shown()
        parts = [*shown, *(source for name in shown for source in self._wiring.sources[name])]
        return [line for name, line in self.unread.items() if name not in parts]

    def order(self, output: str | None) -> list[str]:
        """The layers in the order in which they run, that of the output last."""
        flat = self._wiring.flat
        ahead = nx.DiGraph()
        ahead.add_nodes_from(flat.nodes)
        ahead.add_edges_from(flat.edges)
        ahead.remove_edges_from(walk(flat.nodes, flat.edges).back_edges)
        names = [name for name in nx.topological_sort(ahead) if name in self.neurons]
        if output is not None:
            names.remove(output)
            names.append(output)
        return names

    def ways_into(self, name: str) -> list[Way]:
        """Every way from a source to a layer.

        Raises:
            NoPath: if there are more than `MOST_PATHS`.
        """
        nodes = self.neurons[name]
        ways: list[Way] = []
        waiting: list[Way] = [
            (source, []) for source in self._wiring.sources[nodes.entry] if source != nodes.feedback
        ]
        while waiting:
            node, behind = waiting.pop(0)
            if node in self.neurons or node == self.start:
                ways.append((node, behind))
                continue
            waiting += [(source, [node, *behind]) for source in self._wiring.sources[node]]
            if len(ways) + len(waiting) > MOST_PATHS or len(behind) > MOST_PATHS:
                raise NoPath(
                    f"more than {MOST_PATHS} ways into one layer",
                    f"up to {MOST_PATHS}",
                    "merge what adds up",
                )
        return ways
