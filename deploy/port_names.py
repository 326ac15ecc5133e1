"""Layers of neurons that are called `input` or `output`, as the ends of a deployment are."""

from __future__ import annotations

from mpo_snn.graph.inline import FlatGraph
from mpo_snn.graph.kinds import SPIKING, kind_of

from .layers import INPUT, OUTPUT

_SUFFIX = "_neurons"


def names_beside_ports(flat: FlatGraph) -> dict[str, str]:
    """New names of the spiking nodes called `input` or `output`; empty where there is none.

    A foreign file may call its Input and Output anything, and a layer of neurons `output`. In a
    deployment these two words are the ends.
    """
    found: dict[str, str] = {}
    for name in (INPUT, OUTPUT):
        if name in flat.nodes and kind_of(flat.nodes[name]) in SPIKING:
            free = name + _SUFFIX
            while free in flat.nodes:
                free += _SUFFIX
            found[name] = free
    return found


def renamed(flat: FlatGraph, names: dict[str, str]) -> FlatGraph:
    """The graph with other names of some nodes, in the same order."""
    nodes = {names.get(name, name): node for name, node in flat.nodes.items()}
    edges = [(names.get(a, a), names.get(b, b)) for a, b in flat.edges]
    return FlatGraph(nodes, edges, flat.inputs, flat.outputs)
