r"""A reset by subtraction: the composite that states it in NIR, and a plain LIF that stands for it.

The composite is membrane (LI or I) -> Threshold with Threshold -> Scale -> membrane
(`mpo_snn.export.neuron_to_nir`). Its feedback arrives one step later and takes
:math:`a = -g\,\text{scale}` off the membrane, g the membrane's gain:

- a = threshold: subtraction in the next step, `next`;
- a = beta threshold: in the step of the spike, of which the leak leaves that much, `step`.

Some readers subtract where NIR's LIF resets to a value. For them the composite is written as a
plain LIF or IF with the same tau, r and threshold, and their profile reads it back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import nir
import numpy as np

from .flow import Flow, Timing, with_fields
from .weights import Array

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Subtraction:
    """A composite: names of its nodes.

    Attributes:
        spikes: the Threshold.
        membrane: the LI or I.
        feedback: the Scale.
        synapse: the LI in front of the membrane that feeds it alone, if there is one.
        timings: which of both it is; both without a leak, none if it subtracts another amount.
    """

    spikes: str
    membrane: str
    feedback: str
    synapse: str | None
    timings: tuple[Timing, ...]

    @property
    def nodes(self) -> list[str]:
        """All its nodes."""
        names = [self.spikes, self.membrane, self.feedback]
        return names if self.synapse is None else [*names, self.synapse]


def find_subtractions(flow: Flow) -> dict[str, Subtraction]:
    """The composites of a flow by the node that spikes."""
    found = {}
    for name in flow.named("Threshold"):
        sources = flow.sources(name)
        if len(sources) != 1 or flow.kind(sources[0]) not in ("LI", "I"):
            continue
        membrane = sources[0]
        for feedback in flow.targets(name):
            if (
                flow.kind(feedback) == "Scale"
                and flow.targets(feedback) == [membrane]
                and flow.sources(feedback) == [name]
            ):
                found[name] = Subtraction(
                    name,
                    membrane,
                    feedback,
                    _synapse(flow, membrane, feedback),
                    _timings(flow, name, membrane, feedback),
                )
    return found


def write_subtraction_as_lif(flow: Flow, *timings: Timing) -> Flow:
    """The flow with composites of one of these timings as plain LIF and IF.

    Only where all spiking neurons of the graph reset alike: a reader is told once how it is.
    """
    found = find_subtractions(flow)
    others = set(flow.named("LIF", "IF", "CubaLIF", "Threshold")) - found.keys()
    common = [t for t in timings if all(t in s.timings for s in found.values())]
    if others or not found or not common:
        return flow
    if any(s.synapse or flow.targets(s.membrane) != [s.spikes] for s in found.values()):
        return flow
    for s in found.values():
        node = flow.nodes[s.membrane]
        threshold = flow.nodes[s.spikes].threshold
        fires = {"v_threshold": threshold, "v_reset": np.zeros_like(threshold)}
        if flow.kind(s.membrane) == "I":
            plain: nir.NIRNode = nir.IF(r=node.r, **fires)
        else:
            plain = nir.LIF(tau=node.tau, r=node.r, v_leak=node.v_leak, **fires)
        gone = {s.membrane, s.feedback}
        edges = [
            (a, s.spikes if b == s.membrane else b)
            for a, b in flow.edges
            if a not in gone and b != s.feedback
        ]
        nodes = {n: x for n, x in flow.nodes.items() if n not in gone} | {s.spikes: plain}
        flow = replace(flow, nodes=nodes, edges=edges)
    return replace(flow, stands_for=common[0]).noting(
        f"reset by subtraction ({common[0]}) into plain LIF, which stands for it here"
    )


def read_lif_as_subtraction(flow: Flow, timing: Timing) -> Flow:
    """The flow with LIF and IF as the composites that they stand for."""
    flow = replace(flow, stands_for=None)
    for name in flow.named("LIF", "IF", "CubaLIF"):
        flow = _as_composite(flow, name, timing)
    return flow


def meaning(flow: Flow) -> Flow:
    """The flow in NIR's own terms: plain LIF that stand for a subtraction as their composites."""
    return flow if flow.stands_for is None else read_lif_as_subtraction(flow, flow.stands_for)


def reset_to_zero(flow: Flow) -> Flow:
    """The flow with every v_reset at 0, whatever it states."""
    for name in flow.named("LIF", "IF", "CubaLIF"):
        node = flow.nodes[name]
        flow = flow.with_node(name, with_fields(node, v_reset=np.zeros_like(node.v_threshold)))
    return flow


def _as_composite(flow: Flow, name: str, timing: Timing) -> Flow:
    node, kind = flow.nodes[name], flow.kind(name)
    entry, back = flow.free_name(f"{name}.membrane"), flow.free_name(f"{name}.reset")
    nodes, edges = dict(flow.nodes), [(entry, name), (name, back), (back, entry)]
    if kind == "IF":
        nodes[entry] = nir.I(r=node.r)
        decay, gain = np.ones_like(node.r), flow.dt * node.r
    else:
        tau = node.tau if kind == "LIF" else node.tau_mem
        nodes[entry] = nir.LI(tau=tau, r=node.r, v_leak=node.v_leak)
        decay, gain = 1.0 - flow.dt / tau, flow.dt * node.r / tau
    target = entry
    if kind == "CubaLIF":
        target = flow.free_name(f"{name}.synapse")
        nodes[target] = nir.LI(tau=node.tau_syn, r=node.w_in, v_leak=np.zeros_like(node.tau_syn))
        edges.insert(0, (target, entry))
    amount = node.v_threshold * (decay if timing == "step" else 1.0)
    nodes[name] = nir.Threshold(threshold=node.v_threshold)
    nodes[back] = nir.Scale(scale=-amount / gain)
    edges = [*((a, target if b == name else b) for a, b in flow.edges), *edges]
    return replace(flow, nodes=nodes, edges=edges)


def _synapse(flow: Flow, membrane: str, feedback: str) -> str | None:
    sources = [name for name in flow.sources(membrane) if name != feedback]
    if len(sources) != 1 or flow.kind(sources[0]) != "LI" or len(flow.targets(sources[0])) != 1:
        return None
    return sources[0]


def _timings(flow: Flow, spikes: str, membrane: str, feedback: str) -> tuple[Timing, ...]:
    node = flow.nodes[membrane]
    threshold = np.asarray(flow.nodes[spikes].threshold, dtype=np.float64)
    gain: Array = flow.dt * np.asarray(node.r, dtype=np.float64)
    decay = np.ones_like(gain)
    if flow.kind(membrane) == "LI":
        gain, decay = gain / node.tau, 1.0 - flow.dt / node.tau
    amount = -gain * flow.nodes[feedback].scale
    expected: dict[Timing, Array] = {"next": threshold, "step": decay * threshold}
    return tuple(
        timing
        for timing, value in expected.items()
        if np.allclose(amount, value, rtol=TOLERANCE, atol=0.0)
    )
