r"""The dynamics of spiking nodes in units that do not depend on how a file writes them.

In units of its input a membrane is :math:`u \leftarrow \beta u + x + c`, fires at
:math:`u > \theta / g` and is reset; g is the gain of a step (`mpo_snn.export.foldings.gain`), and
r, tau and dt are gone. Two nodes with the same dynamics fire the same spikes on the same input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mpo_snn.export.foldings.flow import Flow
from mpo_snn.export.foldings.one_tau import join_split_layers
from mpo_snn.export.foldings.subtraction import find_subtractions
from mpo_snn.export.foldings.weights import WEIGHTED, Array
from mpo_snn.graph.kinds import kind_of

from .finding import Finding

TOLERANCE = 1e-6
"""Relative; what float32 cannot tell apart is the same."""


@dataclass(frozen=True)
class Dynamics:
    """One spiking node; arrays of its shape.

    Attributes:
        leak: beta, what a step leaves of the membrane.
        synapse: alpha of the synapse in front; None without one.
        threshold: in units of the input.
        rest: what a step adds without input, in units of the input.
        reset: "to a value", "by subtraction, next", "by subtraction, step" or "none".
        value: what it resets to, in units of the input; 0 for the others.
    """

    leak: Array
    synapse: Array | None
    threshold: Array
    rest: Array
    reset: str
    value: Array


def dynamics_of(flow: Flow) -> dict[str, Dynamics]:
    """Dynamics of every spiking node whose form is known, by name."""
    found = {}
    for name in flow.named("LIF", "IF", "CubaLIF"):
        node = flow.nodes[name]
        leak, synapse, gain, rest = _membrane(node, flow.dt)
        value = node.v_reset / gain
        found[name] = Dynamics(leak, synapse, node.v_threshold / gain, rest, "to a value", value)
    composites = find_subtractions(flow)
    for name in flow.named("Threshold"):
        composite = composites.get(name)
        membrane = composite.membrane if composite else (flow.sources(name) or [""])[0]
        if membrane not in flow.named("LI", "I", "CubaLI"):
            continue
        leak, synapse, gain, rest = _membrane(flow.nodes[membrane], flow.dt)
        reset = "none"
        if composite is not None:
            reset = f"by subtraction, {' or '.join(composite.timings) or 'of another amount'}"
            if composite.synapse is not None:
                synapse, _, further, _ = _membrane(flow.nodes[composite.synapse], flow.dt)
                gain, rest = gain * further, rest / further
        threshold = flow.nodes[name].threshold / gain
        found[name] = Dynamics(leak, synapse, threshold, rest, reset, np.zeros_like(threshold))
    return found


def differences(meant: Flow, read: Flow) -> list[Finding]:
    """What a reader computes otherwise than it is meant, node by node.

    Args:
        meant: the graph in reference semantics.
        read: what the reader computes, in reference semantics.
    """
    meant, read = join_split_layers(meant), join_split_layers(read)
    ours, theirs = dynamics_of(meant), dynamics_of(read)
    findings = []
    for name in ours.keys() & theirs.keys():
        what = _difference(ours[name], theirs[name])
        if what:
            findings.append(Finding(name, what, "different"))
    for name in meant.nodes.keys() & read.nodes.keys():
        if meant.kind(name) == read.kind(name) and kind_of(meant.nodes[name]) in WEIGHTED:
            a, b = meant.nodes[name].weight, read.nodes[name].weight
            if np.shape(a) != np.shape(b) or not np.allclose(a, b, rtol=TOLERANCE, atol=1e-30):
                findings.append(
                    Finding(name, "its weights are those for another reader", "different")
                )
    order = {name: i for i, name in enumerate(meant.nodes)}
    return sorted(findings, key=lambda f: order[f.node])


def _difference(meant: Dynamics, read: Dynamics) -> str:
    parts = []
    if not _same(meant.leak, read.leak):
        parts.append(
            f"keeps {_show(read.leak)} of its membrane in a step instead of {_show(meant.leak)}"
        )
    if (meant.synapse is None) != (read.synapse is None):
        parts.append("has no synapse" if read.synapse is None else "has a synapse")
    elif meant.synapse is not None and not _same(meant.synapse, read.synapse):
        parts.append(
            f"keeps {_show(read.synapse)} of its synapse in a step instead of"
            f" {_show(meant.synapse)}"
        )
    if not _same(meant.threshold, read.threshold):
        parts.append(
            f"fires at an input of {_show(read.threshold)} instead of {_show(meant.threshold)}"
        )
    if not _same(meant.rest, read.rest):
        parts.append("rests at another potential")
    if meant.reset != read.reset:
        parts.append(f"resets {_reset(read)} instead of {_reset(meant)}")
    elif not _same(meant.value, read.value):
        parts.append(f"resets to {_show(read.value)} instead of {_show(meant.value)}")
    return ", ".join(parts)


def _membrane(node: Any, dt: float) -> tuple[Array, Array | None, Array, Array]:
    """Leak, leak of the synapse, gain, and what a step adds in units of the input."""
    kind = kind_of(node)
    if kind in ("I", "IF"):
        gain: Array = dt * np.asarray(node.r, dtype=np.float64)
        return np.ones_like(gain), None, gain, np.zeros_like(gain)
    tau = node.tau if kind in ("LI", "LIF") else node.tau_mem
    gain = dt * node.r / tau
    leak, rest = 1.0 - dt / tau, dt * node.v_leak / tau
    if kind in ("LI", "LIF"):
        return leak, None, gain, rest / gain
    gain = gain * dt * node.w_in / node.tau_syn
    return leak, 1.0 - dt / node.tau_syn, gain, rest / gain


def _same(a: Any, b: Any) -> bool:
    return np.shape(a) == np.shape(b) and bool(np.allclose(a, b, rtol=TOLERANCE, atol=1e-12))


def _show(values: Any) -> str:
    low, high = float(np.min(values)), float(np.max(values))
    return f"{low:.4g}" if np.isclose(low, high) else f"{low:.4g} to {high:.4g}"


def _reset(dynamics: Dynamics) -> str:
    if dynamics.reset == "to a value":
        return f"to {_show(dynamics.value)}"
    return "not at all" if dynamics.reset == "none" else dynamics.reset
