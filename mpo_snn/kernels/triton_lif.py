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
        support, support_at = v, (1, 1)  # not read unless observed
        if observed:
            half = half_support(p.slope, SUPPORT_SHARE, p.surrogate).to(dtype)
            support, support_at = _indexed(half, step)
        forward_kernel[grid](
            source, spk, v, u, sums, *tensors, support, *indices, *support_at,
            features, step.numel(), 0 if constant else step.numel(), math.prod(grid),
            STEPS=steps, RESET=RESETS[p.reset, p.reset_timing], DECAY=p.input_gain == "decay",
            STATISTIC=STATISTICS.index(statistic), POWER=power,
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
        backward_kernel[grid](
            v, *(v if g is None else g for g in given), grad, *tensors, *ctx.indices,
            features, step.numel(), (steps - 1) * step.numel(),
            STEPS=steps, RESET=RESETS[p.reset, p.reset_timing], DECAY=p.input_gain == "decay",
            SPIKES=given[0] is not None, MEMBRANE=given[1] is not None,
            STATISTIC=0 if given[2] is None else STATISTICS.index(ctx.statistic),
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
