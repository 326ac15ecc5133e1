"""Which nodes of a NIR graph make one layer of neurons, and what else is a loop or a membrane.

A layer of neurons is one of

- LIF, IF, CubaLIF: alone;
- Threshold, alone: a neuron without memory;
- membrane (I, LI, CubaLI) -> Threshold, where the membrane feeds nothing else;
- the same with Threshold -> Scale -> membrane, which takes something off the membrane one step
  after a spike: a reset by subtraction;
- a membrane that alone is the output of the graph: a layer that is read out by it;
- any of them with an LI in front of an I or LI, which feeds nothing else: a synapse.

Everything else that loops is recurrence, and every other membrane a value that is no spike.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import networkx as nx

from mpo_snn.graph.inline import FlatGraph
from mpo_snn.graph.kinds import SPIKING, STATEFUL, kind_of

_MEMBRANES = ("I", "LI", "CubaLI")


@dataclass(frozen=True)
class NeuronNodes:
    """The nodes of one layer of neurons, by name; it has one that spikes, or a membrane.

    Attributes:
        spikes: the one that spikes; None where the network is read out by the membrane.
        membrane: the one that integrates; None for a Threshold alone.
        synapse: the LI in front of it, if there is one.
        feedback: the Scale that resets, if there is one.
    """

    spikes: str | None
    membrane: str | None = None
    synapse: str | None = None
    feedback: str | None = None

    @property
    def shown(self) -> str:
        """The node that others read; the layer is called after it."""
        name = self.spikes or self.membrane
        assert name is not None, "a layer spikes or has a membrane"
        return name

    @property
    def entry(self) -> str:
        """The node that takes the layer's input."""
        return self.synapse or self.membrane or self.shown

    @property
    def inner(self) -> frozenset[str]:
        """All of its nodes but the one that others read."""
        names = (self.membrane, self.synapse, self.feedback)
        return frozenset(name for name in names if name) - {self.shown}


class Wiring:
    """Who feeds whom in a flat graph; a pair that stands twice counts twice."""

    def __init__(self, flat: FlatGraph) -> None:
        """Index the edges, each list in stored order."""
        self.flat = flat
        self.sources: dict[str, list[str]] = {name: [] for name in flat.nodes}
        self.targets: dict[str, list[str]] = {name: [] for name in flat.nodes}
        for source, target in flat.edges:
            self.sources[target].append(source)
            self.targets[source].append(target)

    def kind(self, name: str) -> str:
        """The kind of a node."""
        return kind_of(self.flat.nodes[name])


def find_neurons(wiring: Wiring) -> tuple[dict[str, NeuronNodes], dict[str, str]]:
    """The layers of neurons by the node that others read, and why a node fits into none."""
    neurons = {
        name: _around(name, wiring) for name in wiring.flat.nodes if wiring.kind(name) in SPIKING
    }
    (end,) = wiring.flat.outputs
    for name in wiring.sources[end]:
        alone = wiring.sources[end] == [name] and wiring.targets[name] == [end]
        if alone and wiring.kind(name) in _MEMBRANES:
            neurons[name] = NeuronNodes(None, name, _synapse(name, wiring.sources[name], wiring))
    taken = {inner for nodes in neurons.values() for inner in nodes.inner} | neurons.keys()
    findings: dict[str, str] = {}
    for name in wiring.flat.nodes:
        kind = wiring.kind(name)
        if kind not in STATEFUL or name in taken:
            continue
        if kind == "Delay":
            findings[name] = (
                f"node {name!r} is a Delay, and a timestep passes on nothing of the steps before:"
                " write the file without delays."
            )
        else:
            reads = ", ".join(f"{target!r}" for target in dict.fromkeys(wiring.targets[name]))
            findings[name] = (
                f"node {name!r} ({kind}) shows its membrane to {reads}, and layers that are read"
                " from NIR pass on spikes: let it feed one Threshold and nothing else, or be the"
                " output alone."
            )
    return neurons, findings


def find_loops(wiring: Wiring, neurons: dict[str, NeuronNodes]) -> list[str]:
    """The loops that no reset explains, one line each."""
    graph = nx.DiGraph()
    graph.add_nodes_from(wiring.flat.nodes)
    resets = {n.feedback for n in neurons.values() if n.feedback}
    graph.add_edges_from(e for e in wiring.flat.edges if resets.isdisjoint(e))
    findings = []
    for part in nx.strongly_connected_components(graph):
        loop = graph.subgraph(part)
        if loop.number_of_edges():
            names = [source for source, _ in nx.find_cycle(loop)]
            way = " -> ".join(f"{name!r}" for name in [*names, names[0]])
            findings.append(
                f"the loop {way} is recurrence, which runs over time layer by layer and cannot be"
                " trained here; only Threshold -> Scale -> its own membrane is read, as a reset."
                " Take the feedback edge out."
            )
    return sorted(findings)


def _around(name: str, wiring: Wiring) -> NeuronNodes:
    """The layer whose spikes a node gives."""
    if wiring.kind(name) != "Threshold":
        return NeuronNodes(name, membrane=name)
    sources = wiring.sources[name]
    if len(sources) != 1 or wiring.kind(sources[0]) not in _MEMBRANES:
        return NeuronNodes(name)
    (membrane,) = sources
    if wiring.targets[membrane] != [name]:
        return NeuronNodes(name)
    feedback = [
        scale
        for scale, times in Counter(wiring.sources[membrane]).items()
        if times == 1
        and wiring.kind(scale) == "Scale"
        and wiring.sources[scale] == [name]
        and wiring.targets[scale] == [membrane]
    ]
    reset = feedback[0] if len(feedback) == 1 else None
    currents = [source for source in wiring.sources[membrane] if source != reset]
    return NeuronNodes(name, membrane, _synapse(membrane, currents, wiring), reset)


def _synapse(membrane: str, currents: list[str], wiring: Wiring) -> str | None:
    """The LI that alone feeds a membrane, and feeds it alone, if there is one."""
    is_one = (
        wiring.kind(membrane) in ("I", "LI")
        and len(currents) == 1
        and wiring.kind(currents[0]) == "LI"
        and wiring.targets[currents[0]] == [membrane]
    )
    return currents[0] if is_one else None
