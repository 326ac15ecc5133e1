r"""A layer of neurons of a NIR graph as an MPO neuron, with every parameter kept.

With the step dt, NIR's membrane is :math:`v = \beta v + g x` with :math:`\beta = 1 - dt/\tau` and
the gain :math:`g = r\,dt/\tau` (`dt r` without a leak). Where r = 1 everywhere, that is the gain
`decay`, 1 - beta. Any other gain is a matter of units: u = v / g follows `unit` gain with
threshold / g, and the neuron keeps g as its `membrane_unit` for the way back to NIR. A synapse is
the same equation once more, i in units of :math:`g_s = w_{in}\,dt/\tau_{syn}` (`synapse_unit`).

A layer that the network is read out by shows the membrane of the file, so there the gain is a Scale
in front of it instead, unless it is `decay`; its threshold is nobody's, and 1.

v_leak is a constant current v_leak / r, which goes into the bias in front. What is subtracted
after a spike must be the threshold (`next`) or what the leak leaves of it (`step`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mpo_snn.graph.kinds import kind_of
from mpo_snn.graph.ops import per_element
from mpo_snn.leaky import MPOLeaky
from mpo_snn.lif import Reset, ResetTiming
from mpo_snn.neuron_values import THRESHOLD_FLOOR
from mpo_snn.neurons import MPONeuron
from mpo_snn.scale import Scale
from mpo_snn.surrogate import Shape
from mpo_snn.synaptic import MPOSynaptic

from .composites import NeuronNodes

Array = NDArray[np.float64]
SAME = 2.0**-20
"""How far, relatively, a stored reset may be from its exact value: one in float32 may be."""
_UNIT = 8 * np.finfo(np.float64).eps
"""How far a gain may be from 1 to be 1: what rounding leaves of r = tau / dt."""


@dataclass(frozen=True)
class NeuronOptions:
    """What the file does not say of the neurons: how they learn.

    Attributes:
        dt: timestep in seconds.
        dtype: precision of the network.
        learn_leak: make the leaks parameters.
        learn_threshold: make the threshold a parameter.
        surrogate: shape of the surrogate.
        width: width of the surrogate, relative to the mean threshold of the layer.
    """

    dt: float
    dtype: torch.dtype
    learn_leak: bool
    learn_threshold: bool
    surrogate: Shape
    width: float


@dataclass(frozen=True)
class _Leak:
    """One leaky equation: what is left after a step, gain, and the constant input v_leak / r."""

    leak: Array
    gain: Array
    offset: Array
    has_unit_r: bool

    @classmethod
    def of(cls, tau: Any, r: Any, v_leak: Any, dt: float, shape: tuple[int, ...]) -> _Leak:
        """From NIR's parameters; tau None is no leak."""
        factor = per_element(r, shape)
        share = np.full(shape, dt) if tau is None else dt / per_element(tau, shape)
        leak = np.ones(shape) if tau is None else np.maximum(1.0 - share, 0.0)
        rest = per_element(v_leak, shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            offset = np.where(rest == 0.0, 0.0, rest / factor)
        has_unit_r = tau is not None and bool((factor == 1.0).all())
        return cls(leak, share * factor, offset, has_unit_r)


@dataclass(frozen=True)
class ReadNeuron:
    """A layer of neurons as it was read.

    Attributes:
        layer: the MPO neuron, in float64; None where there are findings.
        offset: constant current that must be added to its input, (*features).
        findings: what an MPO neuron cannot do, one line each.
        gain: a layer that multiplies its input, where that needs one.
    """

    layer: MPONeuron | None
    offset: Array
    findings: list[str]
    gain: Scale | None = None


def read_neuron(
    nodes: NeuronNodes, graph: dict[str, Any], shape: tuple[int, ...], options: NeuronOptions
) -> ReadNeuron:
    """Read a layer of neurons; runs under float64 as torch's default.

    Args:
        nodes: its nodes.
        graph: all nodes by name.
        shape: of its output, (*features).
        options: how it learns.
    """
    membrane, synapse = _equations(nodes, graph, options.dt, shape)
    shown = graph[nodes.shown]
    is_read_out = nodes.spikes is None
    threshold = np.ones(shape) if is_read_out else _threshold(shown, shape)
    where = f"node {nodes.shown!r} ({kind_of(shown)})"
    findings = _value_findings(where, nodes, graph, threshold, membrane, synapse)
    if findings:
        return ReadNeuron(None, np.zeros(shape), findings)
    offset = membrane.offset
    if synapse is not None:
        if ((membrane.offset != 0.0) & (synapse.leak != 0.0)).any():
            findings.append(
                f"{where} has v_leak behind a synapse with a memory, which no bias in front"
                " equals: write it with v_leak = 0."
            )
        shared = membrane.offset / synapse.gain
        offset = synapse.offset + np.where(membrane.offset == 0.0, 0.0, shared)
    reset, timing, reset_findings = _reset(nodes, graph, threshold, membrane)
    findings += reset_findings
    decays = _decays(membrane, synapse, options.dtype)
    unit = np.ones(shape) if decays else membrane.gain
    synapse_unit = np.ones(shape) if decays or synapse is None else synapse.gain
    unit = unit * synapse_unit
    fires_at = threshold if is_read_out else threshold / unit
    learns_threshold = options.learn_threshold and not is_read_out
    if learns_threshold and fires_at.min() < THRESHOLD_FLOOR:
        findings.append(
            f"{where} fires at {fires_at.min():g} V of its input, and a learnt threshold stays"
            f" above {THRESHOLD_FLOOR:g}: scale its weights and threshold up, or do not learn it."
        )
    if findings:
        return ReadNeuron(None, offset, findings)
    arguments: dict[str, Any] = {
        "beta": compact(membrane.leak),
        "threshold": compact(fires_at),
        "reset": reset,
        "reset_timing": timing,
        "input_gain": "decay" if decays else "unit",
        "learn_beta": options.learn_leak,
        "learn_threshold": learns_threshold,
        "init_hidden": True,
        "output": is_read_out,
        "surrogate": options.surrogate,
        "width": options.width * float(fires_at.mean()),
    }
    layer: MPONeuron
    if synapse is None:
        layer = MPOLeaky(**arguments)
    else:
        layer = MPOSynaptic(
            alpha=compact(synapse.leak), learn_alpha=options.learn_leak, **arguments
        )
    layer.channels = shape[0] if shape else None
    if is_read_out:
        is_one = _unit_or_none(unit) is None
        gain = None if is_one else Scale(torch.from_numpy(unit))
        return ReadNeuron(layer, offset, [], gain)
    layer.membrane_unit = _unit_or_none(unit)
    layer.synapse_unit = None if synapse is None else _unit_or_none(synapse_unit)
    return ReadNeuron(layer, offset, [])


def _threshold(node: Any, shape: tuple[int, ...]) -> Array:
    return per_element(node.threshold if kind_of(node) == "Threshold" else node.v_threshold, shape)


def compact(value: Array) -> torch.Tensor:
    """A parameter as one number, one per channel or one per neuron: what loses nothing."""
    if (value == value.flat[0]).all():
        return torch.tensor(float(value.flat[0]))
    channels = value.reshape(value.shape[0], -1)
    if (channels == channels[:, :1]).all():
        value = channels[:, 0]
    return torch.from_numpy(np.ascontiguousarray(value, dtype=np.float64))


def _equations(
    nodes: NeuronNodes, graph: dict[str, Any], dt: float, shape: tuple[int, ...]
) -> tuple[_Leak, _Leak | None]:
    """The equation of the membrane, and that of the synapse, if there is one."""
    if nodes.membrane is None:  # a threshold on the input itself: no memory
        return _Leak.of(dt, 1.0, 0.0, dt, shape), None
    node = graph[nodes.membrane]
    if kind_of(node) in ("CubaLI", "CubaLIF"):
        synapse = _Leak.of(node.tau_syn, node.w_in, 0.0, dt, shape)
        return _Leak.of(node.tau_mem, node.r, node.v_leak, dt, shape), synapse
    rest = getattr(node, "v_leak", 0.0)
    membrane = _Leak.of(getattr(node, "tau", None), node.r, rest, dt, shape)
    if nodes.synapse is None:
        return membrane, None
    before = graph[nodes.synapse]
    return membrane, _Leak.of(before.tau, before.r, before.v_leak, dt, shape)


def _value_findings(
    where: str,
    nodes: NeuronNodes,
    graph: dict[str, Any],
    threshold: Array,
    membrane: _Leak,
    synapse: _Leak | None,
) -> list[str]:
    findings = []
    v_reset = np.asarray(getattr(graph[nodes.shown], "v_reset", 0.0))
    if v_reset.any():
        findings.append(
            f"{where} resets to v_reset = {v_reset[v_reset != 0].flat[0]:g}, and MPO neurons to 0"
            " or by subtraction: no shift of the membrane equals it, for all start at 0."
            " Train or write it with v_reset = 0."
        )
    if not (threshold > 0).all():
        findings.append(
            f"{where} has a threshold of {threshold.min():g}, and MPO neurons one above 0: raise"
            " it, and its input's bias with it."
        )
    for equation, names in ((membrane, "r"), (synapse, "w_in or r of the synapse")):
        if equation is not None and not (equation.gain > 0).all():
            findings.append(
                f"{where} has a gain {names} that is not above 0: turn the sign of the weights in"
                " front of it instead."
            )
    return findings


def _reset(
    nodes: NeuronNodes, graph: dict[str, Any], threshold: Array, membrane: _Leak
) -> tuple[Reset, ResetTiming, list[str]]:
    if nodes.feedback is None:
        return "zero" if nodes.membrane == nodes.spikes else "none", "step", []
    where = f"node {nodes.feedback!r} (Scale), the reset of {nodes.spikes!r},"
    if kind_of(graph[nodes.membrane]) == "CubaLI":  # type: ignore[index]
        line = f"{where} passes through the synapse of {nodes.membrane!r}: write it as LI -> LI."
        return "subtract", "step", [line]
    taken = -per_element(graph[nodes.feedback].scale, threshold.shape) * membrane.gain
    for timing, expected in (("step", membrane.leak * threshold), ("next", threshold)):
        if (np.abs(taken - expected) <= SAME * np.abs(expected)).all():
            return "subtract", timing, []  # type: ignore[return-value]
    worst = int(np.argmax(np.abs(taken - threshold)))
    line = (
        f"{where} takes {taken.flat[worst]:g} off a membrane with threshold"
        f" {threshold.flat[worst]:g}: MPO neurons take off the threshold, in the step of the spike"
        f" (here {(membrane.leak * threshold).flat[worst]:g}) or one later. Set scale ="
        " -threshold / (r dt / tau)."
    )
    return "subtract", "step", [line]


def _decays(membrane: _Leak, synapse: _Leak | None, dtype: torch.dtype) -> bool:
    """Whether the gain is 1 - leak everywhere, also where leaks are rounded to `dtype`."""
    equations = [membrane] if synapse is None else [membrane, synapse]
    return all(
        equation.has_unit_r and bool((torch.from_numpy(equation.leak).to(dtype) < 1.0).all())
        for equation in equations
    )


def _unit_or_none(unit: Array) -> torch.Tensor | None:
    if (np.abs(unit - 1.0) <= _UNIT).all():
        return None
    return compact(unit)
