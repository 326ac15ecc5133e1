"""The scan of `mpo_snn.lif` on a CPU, compiled: what it can run, and its place in autograd.

What it computes is in `numba_scan`, the loops in `numba_forward` and `numba_backward`; for
`torch.compile` the same is a registered operator, `lif_op`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mpo_snn.kernels.numba_layout import layout_of
from mpo_snn.kernels.numba_scan import KINDS, Parameters, run_backward, run_forward
from mpo_snn.kernels.sampled import Found, Given, How, without_gradient
from mpo_snn.lif import LIFParameters


def why_not(current: Tensor, p: LIFParameters) -> str | None:
    """Why these kernels cannot run a layer, or None."""
    if callable(p.surrogate):
        return "its surrogate is a function (spike_grad)"
    if current.dtype not in KINDS:
        return f"its input is {str(current.dtype).removeprefix('torch.')}"
    if any(x.dtype != torch.float32 for x in (p.beta, p.threshold, p.slope, p.scale)):
        return "its parameters are not float32"
    if current.numel() == 0:
        return "its input is empty"
    if layout_of(current) is None:
        return "its input is not dense in memory"
    return None


def scan(current: Tensor, p: LIFParameters, how: How) -> Found:
    """What is wanted of all timesteps of a layer, as `lif_scan_reference` has it."""
    arguments = (current, p.beta, p.threshold, p.slope, p.scale)
    if torch.compiler.is_compiling():
        from mpo_snn.kernels.lif_op import lif_scan

        return Found(*lif_scan(*arguments, *how))
    return Found(*_Scan.apply(*arguments, how))  # type: ignore[no-untyped-call]


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        beta: Tensor,
        threshold: Tensor,
        slope: Tensor,
        scale: Tensor,
        how: How,
    ) -> Found:
        ctx.set_materialize_grads(False)
        p = Parameters(beta, threshold, slope, scale)
        found = run_forward(current, p, how)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(current, found.mean, *p)
            ctx.how = how
            ctx.mark_non_differentiable(*without_gradient(found))
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        current, mean, *p = ctx.saved_tensors
        given = Given(*grads[:4])
        needs = ctx.needs_input_grad[:3]
        found = run_backward(current, Parameters(*p), mean, given, needs, ctx.how)
        return *found, None, None, None
