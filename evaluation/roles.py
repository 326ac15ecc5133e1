"""Roles: what kind of signal leaves each node, decided by the graph and never by looking at values.

=========== ==================================================================================
``analog``  the encoded input, what synapses and membranes without a threshold put out, and any
            sum that contains one of these
``spikes``  what a spiking node (LIF, IF, CubaLIF, Threshold) puts out; Flatten and Delay keep it
``graded``  spikes that went through pooling or Scale, and sums of several spike trains
=========== ==================================================================================

A layer that happens to see only zeros and ones is still analog if its input is, and a pooled
spike train is graded even where every pool holds at most one spike.

Subtractive reset is written in NIR as a loop, membrane (LI or I) -> Threshold -> Scale -> membrane.
That Scale carries the reset and no signal (`mpo_snn.graph.resets`): `signal_edges` leaves it out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from mpo_snn.graph.edges import predecessors
from mpo_snn.graph.kinds import SPIKING, STATEFUL, kind_of
from mpo_snn.graph.resets import MEMBRANE, reset_feedback

if TYPE_CHECKING:
    from mpo_snn.graph.inline import FlatGraph

Role = Literal["analog", "spikes", "graded"]

SYNAPTIC: Final = frozenset({"Affine", "Linear", "Conv1d", "Conv2d"})
"""The kinds whose weights are synapses."""

POOLING: Final = frozenset({"AvgPool2d", "SumPool2d"})
"""The kinds that add up windows of their input."""

_ORDER: dict[Role, int] = {"spikes": 0, "graded": 1, "analog": 2}


@dataclass(frozen=True)
class Roles:
    """The roles of a graph's nodes and edges.

    Attributes:
        output: role of what each node puts out; an edge has the role of its source.
        input: role of the sum that enters each node; absent for nodes without predecessors.
        constant: nodes whose input is the same at every timestep if the graph's input is:
            nothing with a state or a threshold lies between.
        feedback: Scale nodes that only carry a subtractive reset.
    """

    output: Mapping[str, Role]
    input: Mapping[str, Role]
    constant: frozenset[str]
    feedback: frozenset[str]


def assign_roles(flat: FlatGraph) -> Roles:
    """Roles of all nodes, as the least fixed point over spikes < graded < analog."""
    feedback = frozenset(reset_feedback(flat))
    sources = predecessors(signal_edges(flat, feedback))
    output: dict[str, Role] = {}
    changed = True
    while changed:
        changed = False
        for name, node in flat.nodes.items():
            role = _leaving(kind_of(node), _entering(sources[name], output))
            if role is not None and output.get(name) != role:
                output[name] = role
                changed = True
    entering = {name: _entering(sources[name], output) for name in flat.nodes}
    return Roles(
        output=output,
        input={name: role for name, role in entering.items() if role is not None},
        constant=_constant_inputs(flat, sources),
        feedback=feedback,
    )


def signal_edges(flat: FlatGraph, feedback: frozenset[str]) -> list[tuple[str, str]]:
    """The edges without those into and out of `feedback`."""
    return [edge for edge in flat.edges if feedback.isdisjoint(edge)]


def _entering(sources: list[str], output: Mapping[str, Role]) -> Role | None:
    """Role of the sum of what is known of the sources; None while nothing is."""
    known = [output[source] for source in sources if source in output]
    if not known:
        return None
    strongest = max(known, key=_ORDER.__getitem__)
    return "graded" if strongest == "spikes" and len(sources) > 1 else strongest


def _leaving(kind: str, entering: Role | None) -> Role | None:
    if kind in SPIKING:
        return "spikes"
    if kind in SYNAPTIC or kind in MEMBRANE or (kind == "Input" and entering is None):
        return "analog"
    if entering == "spikes" and (kind in POOLING or kind == "Scale"):
        return "graded"
    return entering


def _constant_inputs(flat: FlatGraph, sources: Mapping[str, list[str]]) -> frozenset[str]:
    """Nodes that no stateful or spiking node leads to."""
    targets: defaultdict[str, list[str]] = defaultdict(list)
    for target, names in sources.items():
        for source in names:
            targets[source].append(target)
    moving: set[str] = set()
    waiting = [name for name, node in flat.nodes.items() if kind_of(node) in STATEFUL | SPIKING]
    while waiting:
        for target in targets[waiting.pop()]:
            if target not in moving:
                moving.add(target)
                waiting.append(target)
    return frozenset(flat.nodes.keys() - moving)
