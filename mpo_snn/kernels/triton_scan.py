"""The scan on a GPU, tensors in and tensors out: one Triton kernel forward, one backward.

Each program holds a block of neurons of one sample over all timesteps, with the membrane in
registers; one that takes MPO's statistics goes through several samples, and leaves U and what
`triton_statistics` merges. Up to `ANEW` timesteps the backward kernel computes the membrane anew,
so that a layer moves no more than it must: current and spikes forward; current and both gradients
backward. Statistics send their gradients in the same pass, as `numba_scan` says. Inputs in half
precision are read as they are and answered with spikes of the same type; the membrane is float32 or
better.

Any dense layout with time outermost and samples next will do (`triton_layout`); it is kept.
Products and sums of the forward pass round as in `lif_step` (no fused multiply-add), so spikes come
out identical. With `TRITON_INTERPRET=1` in the environment the kernels run on a CPU, slowly.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import triton
from torch import Tensor

from mpo_snn.kernels.sampled import Found, Given, How
from mpo_snn.kernels.triton_kernels import (
    RESETS,
    SHAPES,
    STATISTICS,
    backward_kernel,
    forward_kernel,
)
from mpo_snn.kernels.triton_layout import indexed, laid_out_as, one_step, over_time
from mpo_snn.kernels.triton_statistics import ROWS, merge_programs, write_share_inside
from mpo_snn.moments import Moments, moments
from mpo_snn.surrogate import SUPPORT_SHARE, Shape, half_support

BLOCK = 512
"""Neurons of a program. On an H200 a backward pass in bfloat16 takes 0.88 to 0.94 of the time that
it takes with 1024, and the forward pass the same."""
ANEW = 32
"""Timesteps up to which the membrane of a block stays in registers; of more it is kept."""
REGISTERS = 8192
"""Membranes that a program of the backward kernel holds at once, over all timesteps."""
ENOUGH = 4096
"""Programs that keep a GPU busy: with more, one that takes statistics does several samples."""
SAMPLES = 8
"""How many at most."""


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


def keeps_membrane(steps: int) -> bool:
    """Whether the backward pass reads the membrane, in place of computing it anew."""
    return steps > ANEW


def run_forward(source: Tensor, steps: int, constant: bool, p: Prepared, how: How) -> Found:
    """Spikes and what else is wanted; the membrane also where `keeps_membrane`, and U.

    Args:
        source: input, (time, batch, *features), or (batch, *features) where it is constant.
        steps: T.
        constant: whether there is one timestep of input, the same at every T.
        p: parameters.
        how: what is wanted.
    """
    step = one_step(source, constant)
    beta, _, slope, _ = p.tensors
    spk, v, u = room_for(source, steps, constant, beta, how)
    observed = how.statistic != "none"
    blocks, features, block = _blocks(step, BLOCK)
    each = _samples_of_a_program(len(step) * blocks) if observed else 1
    grid = (triton.cdiv(len(step), each), blocks)
    like = v if u is None else u
    sums = like.new_empty((ROWS, grid[0] * grid[1] if observed else 0))
    support = like  # not read unless observed
    if observed:
        support = half_support(slope, SUPPORT_SHARE, cast(Shape, how.surrogate)).to(like.dtype)
    forward_kernel[grid](
        source, spk, v, like, sums, *p.tensors, support, *p.indices, *p.indices[4:6],
        features, step.numel(), 0 if constant else step.numel(), len(step), sums.shape[1],
        STEPS=steps, RESET=RESETS[how.reset, how.reset_timing], DECAY=how.input_gain == "decay",
        MEMBRANE=v.numel() > 0, STATISTIC=STATISTICS.index(how.statistic), POWER=how.power,
        SHAPE=SHAPES[how.surrogate], SAMPLES=each, BLOCK=block, enable_fp_fusion=False,
    )  # fmt: skip
    kept = v if v.numel() else None
    if u is None:
        return Found(spk, kept)
    return Found(spk, kept, *_statistics(u, sums, steps, how), u)


def _statistics(
    u: Tensor, sums: Tensor, steps: int, how: How
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Mean, squared deviations, shares, and the moments of every neuron if they are wanted."""
    mean, m2, shares = u.new_empty(()), u.new_empty(()), u.new_empty(4)
    merge_programs(sums, steps, mean, m2, shares)
    layer, neurons = Moments(u.numel(), mean, m2), None
    if how.per_channel:
        layer = moments(u, (0, *range(2, u.dim())))
    write_share_inside(u, layer, how.gamma, shares[3:])
    if how.per_neuron:
        found = moments(u, (0,))
        neurons = torch.stack((found.mean, found.m2))
    return layer.mean, layer.m2, shares, neurons


def run_backward(
    source: Tensor,
    steps: int,
    constant: bool,
    kept: Found,
    p: Prepared,
    given: Given,
    how: How,
    learns: tuple[bool, bool] = (False, False),
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The gradient by the source, from those given, and those of every neuron by its parameters.

    Args:
        source: as in `run_forward`, as are the others.
        steps: T.
        constant: see there.
        kept: of what the forward pass found its membrane, mean and U.
        p: see there.
        given: gradients.
        how: see there.
        learns: whether beta, and whether the threshold, wants a gradient, (batch, *features).
    """
    step = one_step(source, constant)
    like = over_time(step, steps, source.dtype)
    grad = torch.empty_like(step) if constant else like
    by_spk, by_v = (None if g is None else laid_out_as(g, like) for g in given[:2])
    membrane = kept.v
    if membrane is None or not membrane.numel():
        membrane = step.new_empty(0, dtype=torch.promote_types(source.dtype, p.tensors[0].dtype))
    u, rows, at, count = membrane, [membrane] * 3, (1, 1), 1.0
    observed = given.mean is not None or given.m2 is not None
    if observed:
        assert kept.mean is not None and kept.u is not None, "who took moments kept U"
        u, count = kept.u, kept.u.numel() / kept.mean.numel()
        moved = [kept.mean, *(torch.zeros_like(kept.mean) if g is None else g for g in given[2:])]
        channels = (-1, *[1] * (step.dim() - 2)) if kept.mean.dim() else ()
        found = [indexed(row.to(u.dtype).reshape(channels), step) for row in moved]
        rows, at = [row for row, _ in found], found[0][1]
    by_beta, by_threshold = (
        torch.empty_like(step, dtype=membrane.dtype) if wanted else None for wanted in learns
    )
    blocks, features, block = _blocks(step, _held(steps))
    backward_kernel[len(step), blocks](
        source, membrane, *(membrane if g is None else g for g in (by_spk, by_v)), u, grad,
        *(membrane if g is None else g for g in (by_beta, by_threshold)),
        *p.tensors, *rows, *p.indices, *at,
        features, step.numel(), 0 if constant else step.numel(), float(count),
        STEPS=steps, RESET=RESETS[how.reset, how.reset_timing], DECAY=how.input_gain == "decay",
        KEPT=keeps_membrane(steps), SPIKES=by_spk is not None, MEMBRANE=by_v is not None,
        STATISTIC=STATISTICS.index(how.statistic) if observed else 0,
        CONSTANT=constant, BETA=learns[0], THRESHOLD=learns[1],
        SHAPE=SHAPES[how.surrogate], BLOCK=block, enable_fp_fusion=False,
    )  # fmt: skip
    return grad, by_beta, by_threshold


def room_for(
    source: Tensor, steps: int, constant: bool, beta: Tensor, how: How
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Uninitialised spikes, membranes (empty where none are written), and U where it is wanted."""
    step = one_step(source, constant)
    dtype = torch.promote_types(source.dtype, beta.dtype)
    keep = how.want_membrane or keeps_membrane(steps)
    return (
        over_time(step, steps, source.dtype),
        over_time(step, steps, dtype) if keep else step.new_empty(0, dtype=dtype),
        None if how.statistic == "none" else torch.empty_like(step, dtype=dtype),
    )


def _samples_of_a_program(programs: int) -> int:
    """A power of two, for every other number is another kernel to compile."""
    each = 1
    while each < SAMPLES and programs // (2 * each) >= ENOUGH:
        each *= 2
    return each


def _held(steps: int) -> int:
    """Neurons of a program of the backward kernel: fewer the more timesteps it holds of each."""
    if keeps_membrane(steps):
        return BLOCK
    held: int = triton.next_power_of_2(steps)
    return min(BLOCK, max(128, REGISTERS // held))


def _blocks(step: Tensor, most: int) -> tuple[int, int, int]:
    """Blocks of a sample, its features, and neurons of a block."""
    features = step[0].numel()
    block = min(most, triton.next_power_of_2(features))
    return triton.cdiv(features, block), features, block
