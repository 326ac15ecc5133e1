"""The scan on a GPU, tensors in and tensors out: one Triton kernel forward, one backward.

Each program holds a block of neurons of one sample over all timesteps, with the membrane in
registers. The forward kernel takes MPO's statistics as it passes: U, and per program the sums of
`mpo_snn.membrane.count_shares`, added afterwards in a fixed order. Up to `ANEW` timesteps the
backward kernel computes the membrane anew, so that a layer moves no more than it must: current and
spikes forward; current and both gradients backward. Inputs in half precision are read as they are
and answered with spikes of the same type; the membrane is float32 or better.

Any dense layout with time outermost and samples next will do (channels first or last); it is kept.
Products and sums of the forward pass round as in `lif_step` (no fused multiply-add), so spikes come
out identical. With `TRITON_INTERPRET=1` in the environment the kernels run on a CPU, slowly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
import triton
from torch import Tensor

from mpo_snn.kernels.triton_kernels import (
    RESETS,
    SHAPES,
    STATISTICS,
    backward_kernel,
    forward_kernel,
)
from mpo_snn.surrogate import SUPPORT_SHARE, Shape, half_support

BLOCK = 512
"""Neurons of a program. On an H200 a backward pass in bfloat16 takes 0.88 to 0.94 of the time that
it takes with 1024, and the forward pass the same."""
ANEW = 32
"""Timesteps up to which the membrane of a block stays in registers; of more it is kept."""
REGISTERS = 8192
"""Membranes that a program of the backward kernel holds at once, over all timesteps."""


class How(NamedTuple):
    """What a scan computes, beside its tensors.

    Attributes:
        steps: T.
        constant: whether there is one timestep of input, the same at every T.
        reset: kind of reset (`mpo_snn.lif`).
        reset_timing: when it acts.
        input_gain: what the current is multiplied by.
        surrogate: shape by name.
        statistic: U is the `mean` over time or the `final` membrane; `none` for no statistics.
        power: whether the shares have the mean square of the surrogate.
        want_membrane: whether membranes are written even where the backward pass needs none.
    """

    steps: int
    constant: bool
    reset: str
    reset_timing: str
    input_gain: str
    surrogate: str
    statistic: str
    power: bool
    want_membrane: bool

    @property
    def keeps_membrane(self) -> bool:
        """Whether the backward pass reads the membrane, in place of computing it anew."""
        return self.steps > ANEW

    @property
    def observed(self) -> bool:
        """Whether there are statistics."""
        return self.statistic != "none"


class Found(NamedTuple):
    """What a scan gives; empty where nobody asked for it.

    Attributes:
        spk: spikes, (time, batch, *features), of the type of the current.
        v: membranes before reset; also where the backward pass reads them.
        u: U, (batch, *features).
        shares: coverage, density and power, (3,).
    """

    spk: Tensor
    v: Tensor
    u: Tensor
    shares: Tensor


class Prepared(NamedTuple):
    """Parameters as the kernels read them.

    Attributes:
        tensors: beta, threshold, slope and scale.
        indices: where a neuron at a place in memory finds its own, two numbers each (`indexed`).
    """

    tensors: list[Tensor]
    indices: list[int]


def prepare(step: Tensor, *parameters: Tensor) -> Prepared:
    """Beta, threshold, slope and scale in the order in which neurons lie in a timestep's memory."""
    found = [indexed(value, step) for value in parameters]
    return Prepared([tensor for tensor, _ in found], [i for _, index in found for i in index])


def run_forward(source: Tensor, step: Tensor, p: Prepared, how: How) -> Found:
    """Spikes and what else is wanted; `step` is one timestep of the source (`one_step`)."""
    beta, _, slope, _ = p.tensors
    spk, v, u = room_for(source, step, beta, how)
    grid, features, block = _grid(step)
    sums = v.new_empty((3, math.prod(grid)) if how.observed else 0, dtype=torch.float32)
    support = v  # not read unless observed
    if how.observed:
        support = half_support(slope, SUPPORT_SHARE, cast(Shape, how.surrogate)).to(v.dtype)
    forward_kernel[grid](
        source, spk, v, u, sums, *p.tensors, support, *p.indices, *p.indices[4:6],
        features, step.numel(), 0 if how.constant else step.numel(), math.prod(grid),
        STEPS=how.steps, RESET=RESETS[how.reset, how.reset_timing], DECAY=how.input_gain == "decay",
        MEMBRANE=v.numel() > 0, STATISTIC=STATISTICS.index(how.statistic), POWER=how.power,
        SHAPE=SHAPES[how.surrogate], BLOCK=block, enable_fp_fusion=False,
    )  # fmt: skip
    return Found(spk, v, u, sums.sum(1) / spk.numel() if how.observed else sums)


def run_backward(
    source: Tensor,
    step: Tensor,
    kept: Tensor,
    p: Prepared,
    by: Sequence[Tensor | None],
    how: How,
) -> Tensor:
    """The gradient by the source, from those by spikes, membrane and U.

    `kept`: the membrane where `how.keeps_membrane`, else an empty tensor of its type.
    """
    steps = how.steps
    like = over_time(step, steps, source.dtype)
    grad = torch.empty_like(step) if how.constant else like
    given = [
        None if g is None else _laid_out_as(g, its)
        for g, its in zip(by, (like, like, step), strict=True)
    ]
    grid, features, block = _grid(step, steps)
    backward_kernel[grid](
        source, kept, *(kept if g is None else g for g in given), grad, *p.tensors, *p.indices,
        features, step.numel(), 0 if how.constant else step.numel(),
        STEPS=steps, RESET=RESETS[how.reset, how.reset_timing], DECAY=how.input_gain == "decay",
        KEPT=how.keeps_membrane, SPIKES=given[0] is not None, MEMBRANE=given[1] is not None,
        STATISTIC=0 if given[2] is None else STATISTICS.index(how.statistic),
        CONSTANT=how.constant, SHAPE=SHAPES[how.surrogate], BLOCK=block, enable_fp_fusion=False,
    )  # fmt: skip
    return grad


def without_gradient(found: Found, how: How) -> list[Tensor]:
    """What of the found nobody differentiates."""
    has_gradient = (True, how.want_membrane, how.observed, False)
    return [x for x, has in zip(found, has_gradient, strict=True) if not has]


def room_for(source: Tensor, step: Tensor, beta: Tensor, how: How) -> tuple[Tensor, Tensor, Tensor]:
    """Uninitialised spikes, membranes and U of `Found`."""
    dtype = torch.promote_types(source.dtype, beta.dtype)
    keep = how.want_membrane or how.keeps_membrane
    return (
        over_time(step, how.steps, source.dtype),
        over_time(step, how.steps, dtype) if keep else step.new_empty(0, dtype=dtype),
        torch.empty_like(step, dtype=dtype) if how.observed else step.new_empty(0, dtype=dtype),
    )


def is_dense(x: Tensor) -> bool:
    """Whether its values fill a stretch of memory, in whatever order of the axes."""
    expected = 1
    for stride, size in sorted(zip(x.stride(), x.shape, strict=True)):
        if size > 1 and stride != expected:
            return False
        expected *= size
    return True


def one_step(source: Tensor, constant: bool) -> Tensor:
    """One timestep of the input, (batch, *features)."""
    return source if constant else source[0]


def over_time(step: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """Uninitialised (time, *step), each timestep in the layout of `step`."""
    return torch.empty_strided(
        (steps, *step.shape), (step.numel(), *step.stride()), dtype=dtype, device=step.device
    )


def _laid_out_as(grad: Tensor, like: Tensor) -> Tensor:
    """The gradient in the memory layout of what it belongs to."""
    same = all(
        a == b
        for a, b, size in zip(grad.stride(), like.stride(), like.shape, strict=True)
        if size > 1
    )
    return grad if same else torch.empty_like(like, dtype=grad.dtype).copy_(grad)


def _grid(step: Tensor, held: int = 1) -> tuple[tuple[int, int], int, int]:
    """Programs (samples, blocks of features), features of a sample, block.

    `held`: timesteps whose membrane a program has in registers.
    """
    features = step[0].numel()
    block = min(BLOCK, triton.next_power_of_2(features))
    if held <= ANEW:
        block = min(block, max(128, REGISTERS // triton.next_power_of_2(held)))
    return (step.shape[0], triton.cdiv(features, block)), features, block


def indexed(value: Tensor, step: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """A parameter and (divisor, modulus): a neuron at place i finds i // divisor % modulus."""
    value = value.detach() if value.requires_grad else value
    if value.numel() == 1:
        return value, (1, 1)
    sample = step[0]
    if value.shape == (sample.shape[0], *[1] * (sample.dim() - 1)):
        return value.reshape(-1).contiguous(), (sample.stride(0), sample.shape[0])
    in_memory = torch.empty_like(sample, dtype=value.dtype)
    return in_memory.copy_(value.expand(sample.shape)), (1, sample.numel())
