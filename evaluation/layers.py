"""Layers: which synapses and membranes belong to which neurons.

A graph has nodes, people think in layers. A layer here is a spiking node, or an Output, together
with all synaptic and membrane nodes whose values reach it before they reach another one: two
convolutions that meet in a residual sum belong to the same layer, a readout without neurons
belongs to the Output.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpo_snn.graph.edges import successors
from mpo_snn.graph.kinds import NEURON_ARRAYS, is_spiking, kind_of

from .roles import SYNAPTIC

if TYPE_CHECKING:
    from mpo_snn.graph.inline import FlatGraph


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        name: its spiking node, or the Output.
        node_type: kind of that node in NIR.
        neurons: number of spiking neurons; None for an Output.
        membranes: number of membranes that are advanced at each timestep.
        synapses: its synaptic nodes.
        nodes: all its nodes.
    """

    name: str
    node_type: str
    neurons: int | None
    membranes: int
    synapses: tuple[str, ...]
    nodes: tuple[str, ...]


def group_layers(
    flat: FlatGraph,
    shapes: Mapping[str, tuple[int, ...]],
    spiking: Sequence[str],
) -> list[Layer]:
    """Group a graph into layers: the spiking ones in the order given, then the Outputs in use."""
    ends = {*spiking, *flat.outputs}
    targets = successors(flat.edges)
    members: dict[str, list[str]] = {name: [] for name in (*spiking, *flat.outputs)}
    for name in flat.nodes:
        end = name if name in ends else _first_end(name, targets, ends)
        if end is not None:
            members[end].append(name)
    layers = []
    for end, names in members.items():
        node = flat.nodes[end]
        synapses = tuple(name for name in names if kind_of(flat.nodes[name]) in SYNAPTIC)
        held = [name for name in names if kind_of(flat.nodes[name]) in NEURON_ARRAYS]
        if is_spiking(node) or synapses or held:
            layers.append(
                Layer(
                    name=end,
                    node_type=kind_of(node),
                    neurons=math.prod(shapes[end]) if is_spiking(node) else None,
                    membranes=sum(math.prod(shapes[name]) for name in held),
                    synapses=synapses,
                    nodes=tuple(names),
                )
            )
    return layers


def _first_end(start: str, targets: Mapping[str, list[str]], ends: set[str]) -> str | None:
    """The end that is the fewest edges away from `start`."""
    seen = {start}
    front = [start]
    while front:
        following = [target for name in front for target in targets.get(name, ())]
        for target in following:
            if target in ends:
                return target
        front = [target for target in dict.fromkeys(following) if target not in seen]
        seen.update(front)
    return None
