r"""A neuron layer in NIR: leak and input gain folded into tau and r, reset in the exact form.

NIR integrates by Euler, :math:`v \mathrel{+}= \frac{dt}{\tau}((v_\text{leak} - v) + r I)`, so that

- leak: :math:`\tau = dt / (1 - \beta)` makes the Euler step multiply by exactly beta;
- gain: r = 1 multiplies the input by 1 - beta (`decay`), r = tau / dt leaves it (`unit`);
- beta = 1: IF, :math:`v \mathrel{+}= dt\, r I` with r = 1 / dt;
- beta = 1 for a part of a layer, or with `decay` (a learnt leak that reached 1): tau = dt * 2^60,
  whose leak, and gain under `decay`, vanish below float64 precision.

A layer that was read from NIR knows its membrane there in another unit, by a factor per neuron
(`mpo_snn.importer.neurons`): r and threshold are written with it.

A synapse in front (`MPOSynaptic`) is the same equation once more, with alpha, tau_syn and w_in in
place of beta, tau and r; alpha = 1 and beta = 1 there always take dt * 2^60.

Reset to zero in the step of the spike (or, with the same spikes, one step later) is NIR's LIF or
IF, with a synapse CubaLIF. Subtraction is not: it is the composite membrane (LI or I) -> Threshold
-> Scale -> membrane, whose feedback arrives one step later and must then take off

- `next`: threshold, so Scale = -threshold / g, with g = dt r / tau the gain of the membrane;
- `step`: beta * threshold (what the leak leaves of it), so Scale = -beta * threshold / g.

A synapse is then an LI of its own in front of the membrane: the feedback must act on the membrane
without passing the synapse, which CubaLI cannot say. No reset is the membrane (with a synapse
CubaLI) and the Threshold; where nothing is left of the membrane after a step either (beta = 0), it
is the Threshold alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import nir
import numpy as np

from mpo_snn.errors import ExportError
from mpo_snn.graph.euler import tau_of_leak
from mpo_snn.graph.neuron_behaviour import NeuronBehaviour

from .draft import Array, Neuron


@dataclass(frozen=True)
class Expression:
    """A neuron layer in NIR.

    Attributes:
        nodes: by name.
        edges: between them.
        entry: where input enters.
        spikes: the node that spikes; None if none does.
        exits: what others see, added up.
    """

    nodes: dict[str, nir.NIRNode]
    edges: list[tuple[str, str]]
    entry: str
    spikes: str | None
    exits: tuple[str, ...]


def late_reset(name: str, neuron: Neuron) -> str:
    """Why a layer is nothing that a chip has: it does not reset within the step; "" if it does."""
    is_late = neuron.reset_timing != "step"
    if neuron.reset != "none" and not is_late:
        return ""
    options, arguments, snntorch = [], [], []
    if neuron.reset == "none":
        options.append("--neuron.reset zero (or subtract, if the chip can)")
        arguments.append('reset="zero"')
        snntorch.append('reset_mechanism="zero"')
    if is_late:
        options.append("--neuron.reset_timing step")
        arguments.append('reset_timing="step"')
        snntorch.append("reset_delay=False")
    return (
        f"layer '{name}' resets {neuron.reset}/{neuron.reset_timing}, allowed is zero or subtract,"
        f" in the step of the spike; train with {' '.join(options)}, in a network of your own"
        f" MPOLeaky({', '.join(arguments)}) or snnTorch's {', '.join(snntorch)}."
    )


def express_for_chip(name: str, neuron: Neuron, dt: float) -> tuple[Expression, NeuronBehaviour]:
    """A neuron layer as the one node IF, LIF or CubaLIF, and what that node does beyond NIR.

    Chips reset within the step, by subtraction or to zero, fire several times in a step and have a
    lowest membrane; all this stands beside the graph, in its metadata.

    Args:
        name: its name in the network.
        neuron: the layer; it has no `late_reset`.
        dt: timestep in seconds.

    Raises:
        ExportError: if it has a lowest membrane and units of its own for every neuron.
    """
    assert neuron.reset != "none", "late_reset refuses it"
    unit = unit_of(neuron, neuron.membrane_unit)
    threshold = neuron.expand(neuron.threshold) * unit
    if neuron.lower is not None and np.unique(unit).size > 1:
        raise ExportError(
            f"cannot write layer '{name}' for a chip: its neurons have a lowest membrane and are in"
            " different units; leave neuron.lower out."
        )
    lower = None if neuron.lower is None else neuron.lower * float(unit.flat[0])
    node = _spiking(neuron, threshold, dt)
    behaviour = NeuronBehaviour(neuron.reset, neuron.most_spikes, lower)
    return Expression({name: node}, [], name, name, (name,)), behaviour


def express_neuron(name: str, neuron: Neuron, dt: float, plain_reset: bool = False) -> Expression:
    """NIR nodes of a neuron layer.

    Args:
        name: its name in the network; the node that spikes has it too.
        neuron: the layer.
        dt: timestep in seconds.
        plain_reset: write a reset by subtraction as a plain LIF, which resets to zero and is a
            different neuron. Only on the user's word.
    """
    threshold = neuron.expand(neuron.threshold) * unit_of(neuron, neuron.membrane_unit)
    if neuron.reset == "zero" or (neuron.reset == "subtract" and plain_reset):
        return Expression({name: _spiking(neuron, threshold, dt)}, [], name, name, (name,))
    if neuron.reset == "none" and _has_no_memory(neuron):
        alone: dict[str, nir.NIRNode] = {name: nir.Threshold(threshold=threshold)}
        return Expression(alone, [], name, name, (name,))
    membrane, reset, synapse = f"{name}.membrane", f"{name}.reset", f"{name}.synapse"
    share = neuron.expand(neuron.beta) if neuron.reset_timing == "step" else np.array(1.0)
    subtracts = neuron.reset == "subtract" and bool(share.any())
    nodes: dict[str, nir.NIRNode] = {name: nir.Threshold(threshold=threshold)}
    edges = [(membrane, name)]
    entry = membrane
    if neuron.alpha is not None and subtracts:
        nodes[synapse] = _leaky_integrator(neuron, neuron.alpha, dt, _synapse_gain(neuron))
        edges.append((synapse, membrane))
        entry = synapse
    nodes[membrane] = _membrane(neuron, dt) if subtracts else membrane_node(neuron, dt)
    if subtracts:
        nodes[reset] = nir.Scale(scale=-share * threshold / _gain(nodes[membrane], dt))
        edges += [(name, reset), (reset, membrane)]
    return Expression(nodes, edges, entry, name, (name,))


def membrane_node(neuron: Neuron, dt: float) -> nir.NIRNode:
    """The membrane of a layer by itself, its synapse included: I, LI or CubaLI."""
    if neuron.alpha is not None:
        return nir.CubaLI(**_synaptic_fields(neuron, dt))
    return _membrane(neuron, dt)


def integrates(neuron: Neuron) -> bool:
    """Whether no membrane of the layer leaks: IF, where there is no synapse."""
    return neuron.input_gain == "unit" and bool((neuron.beta == 1.0).all())


def _has_no_memory(neuron: Neuron) -> bool:
    """Whether the membrane is what arrives in the step."""
    is_plain = neuron.alpha is None and neuron.membrane_unit is None
    return is_plain and not neuron.beta.any()


def _spiking(neuron: Neuron, threshold: Array, dt: float) -> nir.NIRNode:
    fires = {"v_threshold": threshold, "v_reset": np.zeros_like(threshold)}
    if neuron.alpha is not None:
        return nir.CubaLIF(**_synaptic_fields(neuron, dt), **fires)
    if integrates(neuron):
        return nir.IF(r=_membrane_gain(neuron) / dt, **fires)
    tau, r = _tau_and_r(neuron, neuron.beta, dt, _membrane_gain(neuron))
    return nir.LIF(tau=tau, r=r, v_leak=np.zeros_like(tau), **fires)


def _membrane(neuron: Neuron, dt: float) -> nir.NIRNode:
    if integrates(neuron):
        return nir.I(r=_membrane_gain(neuron) / dt)
    return _leaky_integrator(neuron, neuron.beta, dt, _membrane_gain(neuron))


def _leaky_integrator(neuron: Neuron, leak: Array, dt: float, gain: Array) -> nir.NIRNode:
    tau, r = _tau_and_r(neuron, leak, dt, gain)
    return nir.LI(tau=tau, r=r, v_leak=np.zeros_like(tau))


def _synaptic_fields(neuron: Neuron, dt: float) -> dict[str, Array]:
    assert neuron.alpha is not None, "a neuron without a synapse is no CubaLI"
    tau_syn, w_in = _tau_and_r(neuron, neuron.alpha, dt, _synapse_gain(neuron))
    tau_mem, r = _tau_and_r(neuron, neuron.beta, dt, _membrane_gain(neuron))
    v_leak = np.zeros_like(tau_mem)
    return {"tau_syn": tau_syn, "tau_mem": tau_mem, "r": r, "v_leak": v_leak, "w_in": w_in}


def _tau_and_r(neuron: Neuron, leak: Array, dt: float, gain: Array) -> tuple[Array, Array]:
    tau = tau_of_leak(neuron.expand(leak), dt)
    return tau, gain if neuron.input_gain == "decay" else gain * (tau / dt)


def unit_of(neuron: Neuron, unit: Array | None) -> Array:
    """What one volt of the layer is in NIR, per neuron; 1 where nothing else is known."""
    return np.ones(neuron.shape) if unit is None else neuron.expand(unit)


def _synapse_gain(neuron: Neuron) -> Array:
    """What the current is in NIR, in units of what it is here."""
    return unit_of(neuron, neuron.synapse_unit)


def _membrane_gain(neuron: Neuron) -> Array:
    """What the membrane makes of a current in NIR, in units of what it makes of it here."""
    return unit_of(neuron, neuron.membrane_unit) / _synapse_gain(neuron)


def _gain(membrane: nir.NIRNode, dt: float) -> Array:
    """What the membrane multiplies its input by in a step: dt r / tau, or dt r without a leak."""
    step: Array = dt * membrane.r
    return step / membrane.tau if isinstance(membrane, nir.LI) else step
