"""The scan of `mpo_snn.lif` on a GPU: what it can run, and its place in autograd.

What it computes is in `triton_scan`, the kernels in `triton_kernels`; for `torch.compile` the same
is a registered operator, `triton_op`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mpo_snn.kernels.triton_scan import (
    Found,
    How,
    Prepared,
    is_dense,
    one_step,
    prepare,
    run_backward,
    run_forward,
    without_gradient,
)
from mpo_snn.lif import LIFParameters


def why_not(current: Tensor, p: LIFParameters) -> str | None:
    """Why these kernels cannot run a layer, or None."""
    if callable(p.surrogate):
        return "its surrogate is a function (spike_grad)"
    if p.beta.requires_grad or p.threshold.requires_grad:
        return "its leak or threshold is learnt"
    if current.numel() == 0:
        return "its input is empty"
    step = current[0]
    if not is_dense(step[0]):
        return "its input is not dense in memory"
    if step.shape[0] > 1 and step.stride(0) != step[0].numel():
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
    how = How(
        steps,
        constant,
        p.reset,
        p.reset_timing,
        p.input_gain,
        str(p.surrogate),
        statistic,
        power,
        want_membrane,
    )
    if torch.compiler.is_compiling():
        from mpo_snn.kernels.triton_op import lif_scan_triton as operator

        found = Found(*operator(source, p.beta, p.threshold, p.slope, p.scale, *how))
        return found if want_membrane else found._replace(v=found.v.new_empty(0))
    return _Scan.apply(source, p, how)  # type: ignore[no-any-return,no-untyped-call]


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, source: Tensor, p: LIFParameters, how: How) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        step = one_step(source, how.constant)
        ready = prepare(step, p.beta, p.threshold, p.slope, p.scale)
        found = run_forward(source, step, ready, how)
        kept = found.v
        if how.want_membrane and not how.keeps_membrane:
            kept = kept.new_empty(0)
        ctx.save_for_backward(source, kept, *ready.tensors)
        ctx.how, ctx.indices = how, ready.indices
        if how.keeps_membrane and not how.want_membrane:
            found = Found(found.spk, kept.new_empty(0), found.u, found.shares)
        ctx.mark_non_differentiable(*without_gradient(found, how))
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        source, kept, *tensors = ctx.saved_tensors
        step, ready = one_step(source, ctx.how.constant), Prepared(tensors, ctx.indices)
        return run_backward(source, step, kept, ready, grads[:3], ctx.how), None, None
