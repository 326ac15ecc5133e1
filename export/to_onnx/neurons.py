"""The NIR nodes with state in ONNX operators, for one timestep.

The equations, and their discretisation in float64, are those of `mpo_snn.graph.neurons`. The state
of a membrane is what the next step starts from, after a reset within the step; `v` is before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mpo_snn.graph.kinds import kind_of
from mpo_snn.graph.neurons import Neurons, delay_steps

from .writer import Array, Scope

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Update:
    """What one step of a node gives, by names of values.

    Attributes:
        value: its output.
        v: the membrane before reset; "" for a Delay.
        states: its states after the step, in the order of `state_shapes`.
    """

    value: str
    v: str
    states: tuple[str, ...]


def state_shapes(name: str, node: Any, shape: Shape, dt: float) -> dict[str, Shape]:
    """The states of a node by name, without batch: membrane, synapse, the line of a Delay."""
    if kind_of(node) == "Delay":
        longest = int(delay_steps(node, dt).max())
        return {f"{name}.line": (longest, *shape)} if longest else {}
    if name.endswith(".synapse"):  # of a composite form: an LI in front of the membrane
        return {name: shape}
    layer = name.removesuffix(".membrane")
    states = {f"{layer}.membrane": shape}
    if kind_of(node) in ("CubaLI", "CubaLIF"):
        states[f"{layer}.synapse"] = shape
    return states


def write_update(
    scope: Scope, node: Any, x: str, states: list[str | None], shape: Shape, dt: float
) -> Update:
    """Write one step of a node with state.

    Args:
        scope: where.
        node: the NIR node.
        x: its input in this step.
        states: its states before the step; None for a membrane or synapse at rest.
        shape: that of its input, without batch.
        dt: timestep in seconds.
    """
    if kind_of(node) == "Delay":
        return _delay(scope, x, states, delay_steps(node, dt), shape)
    layer = Neurons(node, dt, shape, torch.float64, torch.device("cpu"))
    after: list[str] = []
    drive = x
    if layer.has_synapse:
        drive = _times(scope, x, layer.synapse_gain, "synapse_gain", "arriving")
        drive = _decayed(scope, states[1], layer.synapse_decay, "synapse_decay", drive, "current")
        after = [drive]
    drive = _times(scope, drive, layer.gain, "gain", "drive")
    if not _is(layer.rest, 0.0):
        drive = scope.write("Add", [drive, scope.parameter("rest", layer.rest)], "drive_at_rest")
    v = _decayed(scope, states[0], layer.decay, "decay", drive, "v")
    if not layer.is_spiking:
        return Update(v, v, (v, *after))
    fired, spikes = scope.spikes(v, layer.threshold)
    kept = scope.write("Where", [fired, scope.parameter("reset", layer.reset), v], "after_reset")
    return Update(spikes, v, (kept, *after))


def _times(scope: Scope, x: str, factor: Tensor | float, field: str, part: str) -> str:
    return x if _is(factor, 1.0) else scope.write("Mul", [x, scope.parameter(field, factor)], part)


def _decayed(
    scope: Scope, state: str | None, decay: Tensor | float, field: str, drive: str, part: str
) -> str:
    """Decay * state + drive."""
    if state is None:
        return scope.write("Identity", [drive], part)
    return scope.write("Add", [_times(scope, state, decay, field, f"{part}_kept"), drive], part)


def _is(value: Tensor | float, number: float) -> bool:
    return isinstance(value, float) and value == number


def _delay(scope: Scope, x: str, states: list[str | None], steps: Array, shape: Shape) -> Update:
    """A line of the last inputs, oldest first; each element is read at its own distance."""
    if not states:
        return Update(x, "", ())
    (line,) = states
    assert line is not None, "a line starts as zeros"
    longest, axis = int(steps.max()), scope.integers("time_axis", [1])
    column = scope.write("Unsqueeze", [x, axis], "arriving")
    window = scope.write("Concat", [line, column], "window", axis=1)
    behind = [scope.integers("second", [1]), scope.integers("last", [longest + 1])]
    after = scope.write("Slice", [window, *behind, axis], "moved")
    if (steps == longest).all():
        oldest = scope.integers("due", 0)
        return Update(scope.write("Gather", [window, oldest], axis=1), "", (after,))
    due = scope.integers("due", (longest - np.broadcast_to(steps, shape))[None, None])
    size = scope.write("Shape", [column], "size")
    places = scope.write("Expand", [due, size], "places")
    read = scope.write("GatherElements", [window, places], "read", axis=1)
    return Update(scope.write("Squeeze", [read, axis]), "", (after,))
