"""The scan of `mpo_snn.lif` on a GPU: one Triton kernel forward, one backward.

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
from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from mpo_snn.kernels.triton_kernels import (
    RESETS,
    SHAPES,
    STATISTICS,
    backward_kernel,
    forward_kernel,
)
from mpo_snn.lif import LIFParameters
from mpo_snn.surrogate import SUPPORT_SHARE, half_support

BLOCK = 1024
ANEW = 32
"""Timesteps up to which the membrane of a block stays in registers; of more it is kept."""
REGISTERS = 8192
"""Membranes that a program of the backward kernel holds at once."""


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


def lif_spikes_triton(current: Tensor, p: LIFParameters) -> Tensor:
    """The spikes alone."""
    return lif_scan_triton_observed(current, p, "none", False, want_membrane=False)[0]


def lif_scan_triton_observed(
    current: Tensor, p: LIFParameters, statistic: str, power: bool, want_membrane: bool = True
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same with U (batch, *features) and the shares (3,) of `mpo_snn.membrane.observe`.

    Without `want_membrane` the membrane is empty.
    """
    steps = current.shape[0]
    constant = steps == 1 or current.stride(0) == 0
    source = current[0] if constant else current
    return _Scan.apply(source, constant, steps, p, statistic, power, want_membrane)  # type: ignore[no-any-return,no-untyped-call]


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
        want_membrane: bool,
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        step = source if constant else source[0]
        dtype = torch.promote_types(source.dtype, p.beta.dtype)
        spk = _over_time(step, steps, source.dtype)
        keep = want_membrane or steps > ANEW
        v = _over_time(step, steps, dtype) if keep else step.new_empty(0, dtype=dtype)
        observed = statistic != "none"
        u = torch.empty_like(step, dtype=dtype) if observed else v.new_empty(0)
        grid, features, block = _grid(step)
        sums = v.new_empty((3, math.prod(grid)) if observed else 0, dtype=torch.float32)
        tensors, indices = _parameters(p, step)
        support, support_at = v, (1, 1)  # not read unless observed
        if observed:
            half = half_support(p.slope, SUPPORT_SHARE, p.surrogate).to(dtype)
            support, support_at = _indexed(half, step)
        forward_kernel[grid](
            source, spk, v, u, sums, *tensors, support, *indices, *support_at,
            features, step.numel(), 0 if constant else step.numel(), math.prod(grid),
            STEPS=steps, RESET=RESETS[p.reset, p.reset_timing], DECAY=p.input_gain == "decay",
            MEMBRANE=keep, STATISTIC=STATISTICS.index(statistic), POWER=power,
            SHAPE=SHAPES[str(p.surrogate)], BLOCK=block, enable_fp_fusion=False,
        )  # fmt: skip
        kept = v if steps > ANEW else v.new_empty(0)
        ctx.save_for_backward(source, kept, *tensors)
        ctx.p, ctx.statistic, ctx.constant = p, statistic, constant
        ctx.indices, ctx.steps = indices, steps
        shares = sums.sum(1) / spk.numel() if observed else sums
        ctx.mark_non_differentiable(shares)
        if not want_membrane:
            v = v.new_empty(0)
            ctx.mark_non_differentiable(v)
        return spk, v, u, shares

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_spk: Tensor | None, grad_v: Tensor | None, grad_u: Tensor | None, _: Any
    ) -> tuple[Any, ...]:
        source, kept, *tensors = ctx.saved_tensors
        p: LIFParameters = ctx.p
        steps, constant = ctx.steps, ctx.constant
        step = source if constant else source[0]
        over_time = _over_time(step, steps, source.dtype)
        grad = torch.empty_like(step) if constant else over_time
        given = [
            None if g is None else _laid_out_as(g, like)
            for g, like in ((grad_spk, over_time), (grad_v, over_time), (grad_u, step))
        ]
        grid, features, block = _grid(step, steps)
        backward_kernel[grid](
            source, kept, *(kept if g is None else g for g in given), grad, *tensors, *ctx.indices,
            features, step.numel(), 0 if constant else step.numel(),
            STEPS=steps, RESET=RESETS[p.reset, p.reset_timing], DECAY=p.input_gain == "decay",
            KEPT=steps > ANEW, SPIKES=given[0] is not None, MEMBRANE=given[1] is not None,
            STATISTIC=0 if given[2] is None else STATISTICS.index(ctx.statistic),
            CONSTANT=constant, SHAPE=SHAPES[str(p.surrogate)], BLOCK=block, enable_fp_fusion=False,
        )  # fmt: skip
        return grad, *[None] * 6


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


def _grid(step: Tensor, held: int = 1) -> tuple[tuple[int, int], int, int]:
    """Programs (samples, blocks of features), features of a sample, block.

    `held`: timesteps whose membrane a program has in registers.
    """
    features = step[0].numel()
    block = min(BLOCK, triton.next_power_of_2(features))
    if held <= ANEW:
        block = min(block, max(128, REGISTERS // triton.next_power_of_2(held)))
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
