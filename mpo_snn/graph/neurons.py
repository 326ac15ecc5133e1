r"""The NIR nodes with state, advanced step by step in place.

Forward Euler with step dt; state first, then the test, then the reset; everything starts at 0:

.. math::
    \text{I, IF:}\quad & v \mathrel{+}= dt\, r\, x \\
    \text{LI, LIF:}\quad & v \mathrel{+}= \tfrac{dt}{\tau} (v_{leak} - v + r\, x) \\
    \text{CubaLI, CubaLIF:}\quad & i \mathrel{+}= \tfrac{dt}{\tau_{syn}} (-i + w_{in}\, x), \quad
        v \mathrel{+}= \tfrac{dt}{\tau_{mem}} (v_{leak} - v + r\, i)
        \text{ with the new } i \\
    \text{IF, LIF, CubaLIF:}\quad & s = 1 \text{ where } v > v_{threshold}, \text{ else } 0; \quad
        v = v_{reset} \text{ where } s = 1 \\
    \text{Delay:}\quad & y[t] = x[t - delay / dt]

with x the sum of what arrives in the step. I, LI and CubaLI give v, the spiking ones s. A leak is
evaluated as v <- a v + b x + c with a = 1 - dt/tau, b = r dt/tau and c = v_leak dt/tau computed in
float64 and rounded once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mpo_snn.errors import GraphError

from .counts import Counts
from .fused_scan import fused_scan, is_at_hand
from .kinds import NEURON_ARRAYS, kind_of
from .layer import Layer, State
from .ops import parameter, per_element

DELAY_TOLERANCE = 1e-6
"""How far a delay may be from a whole number of steps, relative to that number."""


class Neurons(Layer):
    """I, LI, IF, LIF, CubaLI and CubaLIF: one membrane equation with parts left out."""

    def __init__(
        self,
        node: Any,
        dt: float,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        """Discretise the node's equation with the step `dt` in seconds."""
        super().__init__(shape, dtype, device)
        kind = kind_of(node)
        field = {name: per_element(getattr(node, name), shape) for name in NEURON_ARRAYS[kind]}

        def number(value: Any) -> Tensor | float:
            tensor = parameter(value, dtype, device)
            first = tensor.flatten()[0]
            return float(first) if bool((tensor == first).all()) else tensor

        tau = field.get("tau", field.get("tau_mem"))
        step = np.full(shape, dt) if tau is None else dt / tau
        self.decay = 1.0 if tau is None else number(1 - step)
        self.gain = number(step * field["r"])
        self.rest = number(step * field["v_leak"]) if tau is not None else 0.0
        self.has_synapse = "tau_syn" in field
        if self.has_synapse:
            step = dt / field["tau_syn"]
            self.synapse_decay = number(1 - step)
            self.synapse_gain = number(step * field["w_in"])
        self.is_spiking = "v_threshold" in field
        if self.is_spiking:
            self.threshold = number(field["v_threshold"])
            self.reset = number(field["v_reset"])

    def start(self, batch: int) -> State:
        """Return membranes, and synaptic currents where the kind has them, of zero."""
        return State([self.zeros(batch) for _ in range(1 + self.has_synapse)])

    def drive(self, x: Tensor) -> Tensor:
        """Return the input current in units of the first equation it enters."""
        if self.has_synapse:
            return _times(x, self.synapse_gain)
        return _plus(_times(x, self.gain), self.rest)

    def advance_all(
        self, drive: Tensor, state: State, out: Tensor, v_out: Tensor | None, counts: Counts | None
    ) -> None:
        """Do all steps in one pass over memory where that can be (`fused_scan`)."""
        constants = self._constants()
        if constants is None or v_out is not None or not is_at_hand(drive, len(out)):
            super().advance_all(drive, state, out, v_out, counts)
            return
        fused_scan(drive, state.tensors[0], out, constants, counts)

    def _constants(self) -> tuple[float, float, float] | None:
        """Decay, threshold and reset, where they are all there is to a step and numbers."""
        if self.has_synapse or not self.is_spiking:
            return None
        decay, threshold, reset = self.decay, self.threshold, self.reset
        if isinstance(decay, Tensor) or isinstance(threshold, Tensor) or isinstance(reset, Tensor):
            return None
        return decay, threshold, reset

    def advance(self, drive: Tensor, state: State, out: Tensor, v_out: Tensor | None) -> None:
        """Do one step of the equations in the head of this module."""
        v = self.integrate(drive, state)
        if v_out is not None:
            v_out.copy_(v)
        if not self.is_spiking:
            out.copy_(v)
            return
        torch.gt(v, self.threshold, out=out)  # without a mask of booleans, which is several
        v.addcmul_(out, v, value=-1)  # times slower; v - 1 v is 0 and v - 0 v is v without rounding
        if not _is(self.reset, 0.0):
            v.add_(out * self.reset)

    def integrate(self, drive: Tensor, state: State) -> Tensor:
        """Do one step up to the membrane before reset, which is returned and is in `state`."""
        v = state.tensors[0]
        if self.has_synapse:
            current = state.tensors[1]
            current.mul_(self.synapse_decay).add_(drive)
            drive = _plus(_times(current, self.gain), self.rest)
        if not _is(self.decay, 1.0):
            v.mul_(self.decay)
        return v.add_(drive)


class DelayLine(Layer):
    """Delay: a ring of the last inputs, read at each element's own distance."""

    def __init__(
        self,
        node: Any,
        dt: float,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        """Turn the node's delays from seconds into steps of `dt` seconds.

        Raises:
            GraphError: if a delay is negative or no whole number of steps.
        """
        super().__init__(shape, dtype, device)
        steps = delay_steps(node, dt)
        self.longest = int(steps.max(initial=0))
        self.steps = torch.from_numpy(per_element(steps, shape).astype(np.int64)).to(device)
        self.is_uniform = bool((steps == self.longest).all())

    def start(self, batch: int) -> State:
        """Return a ring of silent steps."""
        return State([self.zeros(self.longest + 1, batch)])

    def advance(self, drive: Tensor, state: State, out: Tensor, v_out: Tensor | None) -> None:
        """Store the input of this step and give the one that is due."""
        (ring,) = state.tensors
        now = state.step % len(ring)
        ring[now] = drive
        if self.is_uniform:
            out.copy_(ring[now - self.longest])
        else:
            due = (now - self.steps) % len(ring)
            out.copy_(ring.gather(0, due.expand(1, *drive.shape))[0])
        state.step += 1


def layer(
    node: Any, dt: float, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> Layer:
    """Make the layer of a node with state, for inputs of shape [T, B, *shape].

    Raises:
        GraphError: if a delay is negative or no whole number of steps.
    """
    make = DelayLine if kind_of(node) == "Delay" else Neurons
    return make(node, dt, shape, dtype, device)


def delay_steps(node: Any, dt: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the delays of a Delay node as whole numbers of steps.

    Raises:
        GraphError: if one is negative, or further from a whole number than DELAY_TOLERANCE allows.
    """
    steps = np.asarray(node.delay, dtype=np.float64) / dt
    whole = np.round(steps)
    wrong = (steps < 0) | (np.abs(steps - whole) > DELAY_TOLERANCE * np.maximum(steps, 1))
    if wrong.any():
        value = float(np.asarray(node.delay, dtype=np.float64)[wrong].flat[0])
        raise GraphError(
            f"delay {value:g} s is not a whole number of steps of dt = {dt:g} s "
            f"({int(wrong.sum())} of {wrong.size} delays)"
        )
    return whole


def _is(value: Tensor | float, number: float) -> bool:
    return isinstance(value, float) and value == number


def _times(x: Tensor, factor: Tensor | float) -> Tensor:
    return x if _is(factor, 1.0) else x * factor


def _plus(x: Tensor, summand: Tensor | float) -> Tensor:
    return x if _is(summand, 0.0) else x + summand
