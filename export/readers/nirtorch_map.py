"""A full map from NIR nodes to torch for nirtorch, which brings none for neurons.

Neurons follow NIR's equations in forward Euler: integrate, test `v > threshold`, reset. Affine is
here because nirtorch 2.6 leaves its bias random, Flatten because it flattens the batch axis, pools
because it drops the padding of SumPool2d.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, nn

Step = Callable[[Tensor, tuple[Tensor, ...]], tuple[Tensor, tuple[Tensor, ...]]]


class Stateful(nn.Module):
    """A node with states that start at 0; `spikes` says whether its output is spikes."""

    def __init__(self, step: Step, states: int, spikes: bool) -> None:
        """`step(x, states) -> (y, states)`, on as many states as it has."""
        super().__init__()
        self.step, self.states, self.spikes = step, states, spikes

    def forward(self, x: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Any, ...]:
        """One timestep."""
        return self.step(x, state or tuple(torch.zeros_like(x) for _ in range(self.states)))


class Pointwise(nn.Module):
    """A node without state."""

    def __init__(self, apply: Callable[[Tensor], Tensor], spikes: bool = False) -> None:
        """`apply(x) -> y`."""
        super().__init__()
        self.apply_to, self.spikes = apply, spikes

    def forward(self, x: Tensor) -> Tensor:
        """One timestep."""
        return self.apply_to(x)


def full_map(dt: float) -> dict[type, Callable[[nir.NIRNode], nn.Module]]:
    """All kinds of NIR nodes at a timestep in seconds."""
    return {
        nir.Affine: _affine,
        nir.Scale: lambda n: Pointwise(_times(_tensor(n.scale))),
        nir.Flatten: _flatten,
        nir.AvgPool2d: lambda n: _pool(n, 1.0),
        nir.SumPool2d: lambda n: _pool(n, float(np.prod(n.kernel_size))),
        nir.Threshold: lambda n: Pointwise(_above(_tensor(n.threshold)), spikes=True),
        nir.Delay: lambda n: _delay(n, dt),
        nir.I: lambda n: Stateful(_integrate(n, dt), 1, False),
        nir.LI: lambda n: Stateful(_integrate(n, dt), 1, False),
        nir.IF: lambda n: Stateful(_fire(n, dt), 1, True),
        nir.LIF: lambda n: Stateful(_fire(n, dt), 1, True),
        nir.CubaLI: lambda n: Stateful(_behind_synapse(_integrate(n, dt), n, dt), 2, False),
        nir.CubaLIF: lambda n: Stateful(_behind_synapse(_fire(n, dt), n, dt), 2, True),
    }


def _tensor(value: np.ndarray) -> Tensor:
    return torch.as_tensor(np.asarray(value, dtype=np.float32))


def _affine(node: nir.Affine) -> nn.Module:
    module = nn.Linear(node.weight.shape[-1], node.weight.shape[-2])
    module.weight.data, module.bias.data = _tensor(node.weight), _tensor(node.bias)
    return module


def _flatten(node: nir.Flatten) -> nn.Module:
    start, end = (axis + 1 if axis >= 0 else axis for axis in (node.start_dim, node.end_dim))
    return nn.Flatten(int(start), int(end))


def _pool(node: nir.AvgPool2d | nir.SumPool2d, factor: float) -> nn.Module:
    average = nn.AvgPool2d(_pair(node.kernel_size), _pair(node.stride), _pair(node.padding))
    return Pointwise(lambda x: average(x) * factor)


def _pair(value: Any) -> tuple[int, int]:
    rows, columns = np.broadcast_to(value, (2,))
    return int(rows), int(columns)


def _times(factor: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: x * factor


def _above(threshold: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: (x > threshold).to(x.dtype)


def _delay(node: nir.Delay, dt: float) -> nn.Module:
    steps = torch.as_tensor(np.rint(node.delay / dt).astype(int))
    longest = int(steps.max())

    def step(x: Tensor, line: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        line = (x, *line)[: longest + 1]
        index = steps.expand(x.shape).unsqueeze(0)
        return torch.stack(line).gather(0, index)[0], line

    return Stateful(step, longest + 1, False)


def _membrane(node: nir.NIRNode, dt: float) -> Callable[[Tensor, Tensor], Tensor]:
    """V after one Euler step: decay v + gain x + rest, constants rounded to float32 once."""
    r = np.asarray(node.r, dtype=np.float64)
    if isinstance(node, nir.I | nir.IF):
        gain = _tensor(dt * r)
        return lambda v, x: v + gain * x
    tau = np.asarray(node.tau if hasattr(node, "tau") else node.tau_mem, dtype=np.float64)
    decay, gain, rest = map(_tensor, (1 - dt / tau, dt / tau * r, dt / tau * node.v_leak))
    return lambda v, x: decay * v + gain * x + rest


def _integrate(node: nir.NIRNode, dt: float) -> Step:
    membrane = _membrane(node, dt)

    def step(x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        v = membrane(state[-1], x)
        return v, (v,)

    return step


def _fire(node: nir.NIRNode, dt: float) -> Step:
    membrane = _membrane(node, dt)
    threshold, v_reset = _tensor(node.v_threshold), _tensor(node.v_reset)

    def step(x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        v = membrane(state[-1], x)
        fires = v > threshold
        return fires.to(x.dtype), (torch.where(fires, v_reset, v),)

    return step


def _behind_synapse(membrane: Step, node: nir.NIRNode, dt: float) -> Step:
    tau = np.asarray(node.tau_syn, dtype=np.float64)
    decay, gain = map(_tensor, (1 - dt / tau, dt / tau * node.w_in))

    def step(x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        current = decay * state[0] + gain * x
        y, (v,) = membrane(current, (state[-1],))
        return y, (current, v)

    return step
