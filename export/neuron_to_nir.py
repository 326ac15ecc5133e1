r"""A LIF layer in NIR: leak and input gain folded into tau and r, reset in the exact form.

NIR integrates by Euler, :math:`v \mathrel{+}= \frac{dt}{\tau}((v_\text{leak} - v) + r I)`, so that

- leak: :math:`\tau = dt / (1 - \beta)` makes the Euler step multiply by exactly beta;
- gain: r = 1 multiplies the input by 1 - beta (`decay`), r = tau / dt leaves it (`unit`);
- beta = 1: IF, :math:`v \mathrel{+}= dt\, r I` with r = 1 / dt;
- beta = 1 for a part of a layer: tau = dt * 2^60, whose leak vanishes below float64 precision.

Reset to zero in the step of the spike (or, with the same spikes, one step later) is NIR's LIF or
IF. Subtraction is not: it is the composite membrane (LI or I) -> Threshold -> Scale -> membrane,
whose feedback arrives one step later and must then take off

- `next`: threshold, so Scale = -threshold / g, with g = dt r / tau the gain of the membrane;
- `step`: beta * threshold (what the leak leaves of it), so Scale = -beta * threshold / g.

No reset is the membrane and the Threshold alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import nir
import numpy as np

from .draft import Array, Neuron

IF_TAU_STEPS = 2.0**60
"""tau / dt of a neuron without leak inside a leaky layer."""


@dataclass(frozen=True)
class Expression:
    """A neuron layer in NIR: its nodes and inner edges, where input enters and spikes leave."""

    nodes: dict[str, nir.NIRNode]
    edges: list[tuple[str, str]]
    entry: str
    spikes: str


def express_neuron(name: str, neuron: Neuron, dt: float, plain_reset: bool = False) -> Expression:
    """NIR nodes of a neuron layer.

    Args:
        name: its name in the network; the node that spikes has it too.
        neuron: the layer.
        dt: timestep in seconds.
        plain_reset: write a reset by subtraction as a plain LIF, which resets to zero and is a
            different neuron. Only on the user's word.
    """
    threshold = neuron.expand(neuron.threshold)
    beta = neuron.expand(neuron.beta)
    if neuron.reset == "zero" or (neuron.reset == "subtract" and plain_reset):
        return Expression({name: _spiking(beta, threshold, neuron, dt)}, [], name, name)
    membrane = f"{name}.membrane"
    node, gain = _membrane(beta, neuron, dt)
    nodes = {membrane: node, name: nir.Threshold(threshold=threshold)}
    edges = [(membrane, name)]
    share = beta if neuron.reset_timing == "step" else np.ones_like(beta)
    if neuron.reset == "subtract" and share.any():
        nodes[f"{name}.reset"] = nir.Scale(scale=-share * threshold / gain)
        edges += [(name, f"{name}.reset"), (f"{name}.reset", membrane)]
    return Expression(nodes, edges, membrane, name)


def _spiking(beta: Array, threshold: Array, neuron: Neuron, dt: float) -> nir.NIRNode:
    zero = np.zeros_like(threshold)
    if (beta == 1.0).all():
        r = np.full_like(beta, 1.0 / dt)
        return nir.IF(r=r, v_threshold=threshold, v_reset=zero)
    tau, r = _tau_and_r(beta, neuron, dt)
    return nir.LIF(tau=tau, r=r, v_leak=zero, v_threshold=threshold, v_reset=zero.copy())


def _membrane(beta: Array, neuron: Neuron, dt: float) -> tuple[nir.NIRNode, Array]:
    if (beta == 1.0).all():
        r = np.full_like(beta, 1.0 / dt)
        return nir.I(r=r), dt * r
    tau, r = _tau_and_r(beta, neuron, dt)
    return nir.LI(tau=tau, r=r, v_leak=np.zeros_like(beta)), dt / tau * r


def _tau_and_r(beta: Array, neuron: Neuron, dt: float) -> tuple[Array, Array]:
    with np.errstate(divide="ignore"):
        tau = np.where(beta == 1.0, dt * IF_TAU_STEPS, dt / (1.0 - beta))
    return tau, np.ones_like(tau) if neuron.input_gain == "decay" else tau / dt
