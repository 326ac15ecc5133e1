"""The scan of `mpo_snn.lif` on a GPU: one Triton kernel forward, one backward.

Each program holds a block of neurons of one sample over all timesteps, with the membrane in
registers. The forward kernel takes MPO's statistics as it passes: U, and per program the sums of
`mpo_snn.membrane.count_shares`, added afterwards in a fixed order. Inputs in half precision are
read as they are and answered with spikes of the same type; the membrane is float32 or better.

Any dense layout with time outermost and samples next will do (channels first or last); it is kept.
Products and sums of the forward pass round as in `lif_step` (no fused multiply-add), so spikes come
out identical. With `TRITON_INTERPRET=1` in the environment the kernels run on a CPU, slowly.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from mpo_snn.lif import LIFParameters
from mpo_snn.surrogate import SUPPORT_SHARE, TANH_REACH, half_support

RESETS = {("zero", "step"): 0, ("zero", "next"): 0, ("subtract", "step"): 1}
RESETS |= {("subtract", "next"): 2, ("none", "step"): 3, ("none", "next"): 3}
SHAPES = {"sigmoid": 0, "arctan": 1, "piecewise_linear": 2, "triangle": 3, "tanh": 4}
BLOCK = 1024
PI = tl.constexpr(math.pi)
REACH = tl.constexpr(TANH_REACH)


def why_not(current: Tensor, p: LIFParameters) -> str | None:
    """Why these kernels cannot run a layer, or None."""
    if callable(p.surrogate):
        return "its surrogate is a function (spike_grad)"
    if p.beta.requires_grad or p.threshold.requires_grad:
        return "its leak or threshold is learnt"
    if current.numel() == 0:
        return "its input is empty"
    step = current[0]
    features = step[0].numel()
    dense = sorted(zip(step[0].stride(), step[0].shape, strict=True))
    expected = 1
    for stride, size in dense:
        if size > 1 and stride != expected:
            return "its input is not dense in memory"
        expected *= size
    if step.shape[0] > 1 and step.stride(0) != features:
        return "its samples do not lie one after another in memory"
    if current.shape[0] > 1 and current.stride(0) not in (0, step.numel()):
        return "its timesteps do not lie one after another in memory"
    return None


def lif_scan_triton(current: Tensor, p: LIFParameters) -> tuple[Tensor, Tensor]:
    """Spikes and membrane of all timesteps; see `lif_scan_reference`."""
    spk, v, _, _ = lif_scan_triton_observed(current, p, "none", False)
    return spk, v


def lif_scan_triton_observed(
    current: Tensor, p: LIFParameters, statistic: str, power: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same with U (batch, *features) and the shares (3,) of `mpo_snn.membrane.observe`."""
    steps = current.shape[0]
    constant = steps == 1 or current.stride(0) == 0
    source = current[0] if constant else current
    return _Scan.apply(source, constant, steps, p, statistic, power)  # type: ignore[no-any-return,no-untyped-call]


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        source: Tensor,
        constant: bool,
        steps: int,
        p: LIFParameters,
        statistic: str,
        power: bool,
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        step = source if constant else source[0]
        dtype = torch.promote_types(source.dtype, p.beta.dtype)
        spk = _over_time(step, steps, source.dtype)
        v = _over_time(step, steps, dtype)
        observed = statistic != "none"
        u = torch.empty_like(step, dtype=dtype) if observed else v.new_empty(0)
        grid, features, block = _grid(step)
        sums = v.new_empty((3, math.prod(grid)) if observed else 0, dtype=torch.float32)
        tensors, indices = _parameters(p, step)
        width = half_support(p.slope, SUPPORT_SHARE, p.surrogate).to(dtype)
        support, support_at = _indexed(width, step)
        _forward[grid](
            source, spk, v, u, sums, *tensors, support, *indices, *support_at,
            features, step.numel(), 0 if constant else step.numel(), math.prod(grid),
            STEPS=steps, RESET=RESETS[p.reset, p.reset_timing], DECAY=p.input_gain == "decay",
            STATISTIC=("none", "mean", "final").index(statistic), POWER=power,
            SHAPE=SHAPES[str(p.surrogate)], BLOCK=block, enable_fp_fusion=False,
        )  # fmt: skip
        ctx.save_for_backward(v, *tensors)
        ctx.p, ctx.statistic, ctx.constant = p, statistic, constant
        ctx.indices, ctx.dtype = indices, source.dtype
        shares = sums.sum(1) / v.numel() if observed else sums
        ctx.mark_non_differentiable(shares)
        return spk, v, u, shares

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_spk: Tensor | None, grad_v: Tensor | None, grad_u: Tensor | None, _: Any
    ) -> tuple[Any, ...]:
        v, *tensors = ctx.saved_tensors
        p: LIFParameters = ctx.p
        steps, step = v.shape[0], v[0]
        grad = (
            torch.empty_like(step, dtype=ctx.dtype)
            if ctx.constant
            else _over_time(step, steps, ctx.dtype)
        )
        given = [
            None if g is None else _laid_out_as(g, like)
            for g, like in ((grad_spk, v), (grad_v, v), (grad_u, step))
        ]
        grid, features, block = _grid(step)
        _backward[grid](
            v, *(v if g is None else g for g in given), grad, *tensors, *ctx.indices,
            features, step.numel(), (steps - 1) * step.numel(),
            STEPS=steps, RESET=RESETS[p.reset, p.reset_timing], DECAY=p.input_gain == "decay",
            SPIKES=given[0] is not None, MEMBRANE=given[1] is not None,
            STATISTIC=0 if given[2] is None else ("none", "mean", "final").index(ctx.statistic),
            CONSTANT=ctx.constant, SHAPE=SHAPES[str(p.surrogate)], BLOCK=block,
        )  # fmt: skip
        return grad, None, None, None, None, None


def _over_time(step: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
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


def _grid(step: Tensor) -> tuple[tuple[int, int], int, int]:
    """Programs (samples, blocks of features), features of a sample, block."""
    features = step[0].numel()
    block = min(BLOCK, triton.next_power_of_2(features))
    return (step.shape[0], triton.cdiv(features, block)), features, block


def _parameters(p: LIFParameters, step: Tensor) -> tuple[list[Tensor], list[int]]:
    """Beta, threshold, slope and scale, and where a neuron at a place in memory finds its own."""
    found = [_indexed(value, step) for value in (p.beta, p.threshold, p.slope, p.scale)]
    return [tensor for tensor, _ in found], [i for _, index in found for i in index]


def _indexed(value: Tensor, step: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """A parameter and (divisor, modulus): a neuron at place i finds i // divisor % modulus."""
    value = value.detach()
    if value.numel() == 1:
        return value, (1, 1)
    sample = step[0]
    if value.shape == (sample.shape[0], *[1] * (sample.dim() - 1)):
        return value.reshape(-1).contiguous(), (sample.stride(0), sample.shape[0])
    in_memory = torch.empty_like(sample, dtype=value.dtype)
    return in_memory.copy_(value.expand(sample.shape)), (1, sample.numel())


@triton.jit
def _own(parameter, i, divisor, modulus, inside):  # type: ignore[no-untyped-def]
    return tl.load(parameter + (i // divisor) % modulus, mask=inside, other=1.0)


@triton.jit
def _surrogate(x, slope, SHAPE: tl.constexpr):  # type: ignore[no-untyped-def]
    distance = tl.abs(x * slope)
    if SHAPE == 0:
        tail = tl.exp(-distance)
        s = slope * tail / ((1.0 + tail) * (1.0 + tail))
    elif SHAPE == 1:
        s = slope / (PI * (1.0 + distance * distance))
    elif SHAPE == 2:
        s = tl.where(distance <= 1.0, 0.5 * slope, 0.0)
    elif SHAPE == 3:
        s = slope * tl.maximum(1.0 - distance, 0.0)
    else:
        tail = tl.exp(-2.0 * distance)
        edge = tl.exp(-2.0 * REACH * slope)
        peak = REACH * slope * (1.0 + edge) / (1.0 - edge)
        bell = 4.0 * tail / ((1.0 + tail) * (1.0 + tail))
        s = tl.where(tl.abs(x) <= REACH, peak * bell, 0.0)
    return s


@triton.jit
def _forward(  # type: ignore[no-untyped-def]
    current, spikes, membrane, final, sums,
    betas, thresholds, slopes, scales, supports,
    d0, m0, d1, m1, d2, m2, d3, m3, d4, m4,
    features, size, stride, programs,
    STEPS: tl.constexpr, RESET: tl.constexpr, DECAY: tl.constexpr, STATISTIC: tl.constexpr,
    POWER: tl.constexpr, SHAPE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = i < features
    place = tl.program_id(0).to(tl.int64) * features + i
    beta = _own(betas, i, d0, m0, inside)
    threshold = _own(thresholds, i, d1, m1, inside)
    dtype = membrane.dtype.element_ty
    state = tl.zeros((BLOCK,), dtype)
    fired = tl.zeros((BLOCK,), dtype)
    total = tl.zeros((BLOCK,), dtype)
    count = tl.zeros((BLOCK,), tl.float32)
    covered = tl.zeros((BLOCK,), tl.float32)
    power = tl.zeros((BLOCK,), tl.float32)
    if STATISTIC != 0:
        slope = _own(slopes, i, d2, m2, inside)
        support = _own(supports, i, d4, m4, inside)
    v = state
    read, at = place, place
    for _ in range(STEPS):
        drive = tl.load(current + read, mask=inside, other=0.0).to(dtype)
        if DECAY:
            drive = (1.0 - beta) * drive
        v = beta * state + drive
        if RESET == 2:
            v = v - fired * threshold
        fired = (v > threshold).to(dtype)
        if RESET == 0:
            state = (1.0 - fired) * v
        elif RESET == 1:
            state = v - fired * threshold
        else:
            state = v
        tl.store(spikes + at, fired.to(spikes.dtype.element_ty), mask=inside)
        tl.store(membrane + at, v, mask=inside)
        read += stride
        at += size
        if STATISTIC != 0:
            count += fired.to(tl.float32)
            x = v - threshold
            covered += (tl.abs(x) < support).to(tl.float32)
            total += v
            if POWER:
                s = _surrogate(x, slope, SHAPE).to(tl.float32)
                power += s * s
    if STATISTIC == 1:
        tl.store(final + place, total / STEPS, mask=inside)
    elif STATISTIC == 2:
        tl.store(final + place, v, mask=inside)
    if STATISTIC != 0:
        program = tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
        tl.store(sums + program, tl.sum(tl.where(inside, covered, 0.0)))
        tl.store(sums + programs + program, tl.sum(tl.where(inside, count, 0.0)))
        tl.store(sums + 2 * programs + program, tl.sum(tl.where(inside, power, 0.0)))


@triton.jit
def _backward(  # type: ignore[no-untyped-def]
    membrane, grad_spikes, grad_membrane, grad_final, grad_current,
    betas, thresholds, slopes, scales,
    d0, m0, d1, m1, d2, m2, d3, m3,
    features, size, last_step,
    STEPS: tl.constexpr, RESET: tl.constexpr, DECAY: tl.constexpr, SPIKES: tl.constexpr,
    MEMBRANE: tl.constexpr, STATISTIC: tl.constexpr, CONSTANT: tl.constexpr, SHAPE: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = i < features
    place = tl.program_id(0).to(tl.int64) * features + i
    beta = _own(betas, i, d0, m0, inside)
    threshold = _own(thresholds, i, d1, m1, inside)
    slope = _own(slopes, i, d2, m2, inside)
    scale = _own(scales, i, d3, m3, inside)
    dtype = membrane.dtype.element_ty
    answer = grad_current.dtype.element_ty
    grad = tl.zeros((BLOCK,), dtype)
    total = tl.zeros((BLOCK,), dtype)
    from_u = tl.zeros((BLOCK,), dtype)
    if STATISTIC != 0:
        from_u = tl.load(grad_final + place, mask=inside, other=0.0).to(dtype)
        if STATISTIC == 1:
            from_u = from_u / STEPS
    at = place + last_step
    for _ in range(STEPS):
        v = tl.load(membrane + at, mask=inside, other=0.0)
        if RESET == 0:
            grad = tl.where(v > threshold, 0.0, grad)
        if SPIKES:
            from_spike = tl.load(grad_spikes + at, mask=inside, other=0.0).to(dtype)
            grad += from_spike * _surrogate(v - threshold, slope, SHAPE) * scale
        if MEMBRANE:
            grad += tl.load(grad_membrane + at, mask=inside, other=0.0).to(dtype)
        grad += from_u
        if STATISTIC == 2:
            from_u = tl.zeros((BLOCK,), dtype)
        drive = grad
        if DECAY:
            drive = (1.0 - beta) * grad
        if CONSTANT:
            total += drive
        else:
            tl.store(grad_current + at, drive.to(answer), mask=inside)
        grad = beta * grad
        at -= size
    if CONSTANT:
        tl.store(grad_current + place, total.to(answer), mask=inside)
