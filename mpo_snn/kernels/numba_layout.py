"""Where the neurons of a layer lie in memory, for kernels that go through it from end to end.

A tensor (time, batch, *features) that is dense, whatever the order of its axes, is a number of runs
of neurons that lie one after another at every timestep: one run where time is outermost (channels
first or last), one a sample where the batch is. Among all neurons in this order, each has a place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from mpo_snn.errors import ShapeError

_ALL = 2**60
"""More neurons than there are."""


@dataclass(frozen=True)
class Layout:
    """How the neurons of a current lie.

    Attributes:
        shape: of the current, (time, batch, *features).
        strides: of one timestep as if it lay alone, (batch, *features).
        run: neurons that lie one after another.
        step: from one timestep to the next.
        stride: from one run to the next.
        constant: whether the current has one timestep in memory for all.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    run: int
    step: int
    stride: int
    constant: bool

    @cached_property
    def neurons(self) -> int:
        """Of all runs."""
        return math.prod(self.shape[1:])

    @cached_property
    def all_strides(self) -> tuple[int, ...]:
        """Of all timesteps, (time, batch, *features); those of a constant one time outermost."""
        steps, step = self.shape[0], self.step
        return (step, *(s if s < step else s * steps for s in self.strides))

    def over_time(self, dtype: torch.dtype) -> Tensor:
        """Uninitialised values of all timesteps."""
        return torch.empty_strided(self.shape, self.all_strides, dtype=dtype)

    def one_step(self, dtype: torch.dtype) -> Tensor:
        """Uninitialised values of one timestep, (batch, *features)."""
        return torch.empty_strided(self.shape[1:], self.strides, dtype=dtype)


def layout_of(x: Tensor) -> Layout | None:
    """The layout of (time, batch, *features), not empty; None where it is not dense."""
    if torch.compiler.is_compiling() or not all(type(size) is int for size in x.shape):
        return _layout(tuple(x.shape), x.stride())
    return _known_layout(tuple(x.shape), x.stride())


def dense_layout(x: Tensor) -> Layout:
    """The same.

    Raises:
        ShapeError: where it is not dense.
    """
    layout = layout_of(x)
    if layout is None:
        raise ShapeError(
            f"cannot run a layer on the backend numba: its input of shape {tuple(x.shape)} has"
            f" strides {x.stride()}, allowed is what is dense in memory. Use in_place."
        )
    return layout


def _layout(shape: tuple[int, ...], all_strides: tuple[int, ...]) -> Layout | None:
    steps, step, strides = shape[0], all_strides[0], all_strides[1:]
    neurons = math.prod(shape[1:])
    if steps == 1 or step == 0:
        dense = _is_dense(shape[1:], strides)
        return Layout(shape, strides, neurons, neurons, neurons * steps, True) if dense else None
    if not _is_dense(shape, all_strides):
        return None
    alone = tuple(s if s < step else s // steps for s in strides)
    return Layout(shape, alone, step, step, step * steps, False)


_known_layout = lru_cache(1024)(_layout)


def as_steps(grad: Tensor, layout: Layout) -> tuple[Tensor, int, int]:
    """A gradient of all timesteps as it can be read: from one timestep, and run, to the next.

    One that is the same at every timestep is read as it is, any other layout is copied.
    """
    if grad.stride(0) == 0 and layout.run == layout.neurons:
        if _same(grad.shape[1:], grad.stride()[1:], layout.strides):
            return grad, 0, 0
    return laid_out_as(grad, layout), layout.step, layout.stride


def laid_out_as(grad: Tensor, layout: Layout) -> Tensor:
    """A gradient of all timesteps in this layout; a copy where it has another one."""
    if _same(grad.shape, grad.stride(), layout.all_strides):
        return grad
    return layout.over_time(grad.dtype).copy_(grad)


def indexed(value: Tensor, layout: Layout) -> tuple[Tensor, int, int]:
    """A parameter that broadcasts against one timestep: values, d and m.

    The neuron at place i finds its own at i // d % m.
    """
    if value.numel() == 1:
        return value, _ALL, 1
    shape = (*[1] * (len(layout.shape) - 1 - value.dim()), *value.shape)
    own = [axis for axis, size in enumerate(shape) if size > 1]
    if len(own) == 1:
        return value.reshape(-1).contiguous(), layout.strides[own[0]], shape[own[0]]
    features = math.prod(layout.shape[2:])
    batch_outermost = shape[0] == 1 and layout.strides[0] == features
    start = 2 if batch_outermost else 1
    sizes = layout.shape[start:]
    if value.shape == sizes and _same(sizes, value.stride(), layout.strides[start - 1 :]):
        return value, 1, value.numel()
    in_memory = torch.empty_strided(sizes, layout.strides[start - 1 :], dtype=value.dtype)
    in_memory.copy_(value.reshape(shape[start - 1 :]).expand(sizes))
    return in_memory, 1, math.prod(sizes)


def _is_dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    expected = 1
    for stride, size in sorted(zip(strides, shape, strict=True)):
        if size > 1:
            if stride != expected:
                return False
            expected *= size
    return True


def _same(shape: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(one == other for one, other, size in zip(a, b, shape, strict=True) if size > 1)
