"""The scan of `mpo_snn.lif` on a GPU: what it can run, and its place in autograd.

What it computes is in `triton_scan`, the kernels in `triton_kernels`; for `torch.compile` the same
is a registered operator, `triton_op`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mpo_snn.kernels.sampled import Found, Given, How, without_gradient
from mpo_snn.kernels.triton_layout import is_dense, one_step
from mpo_snn.kernels.triton_scan import (
    Prepared,
    keeps_membrane,
    prepare,
    run_backward,
    run_forward,
)
from mpo_snn.lif import LIFParameters


def why_not(current: Tensor, p: LIFParameters) -> str | None:
    """Why these kernels cannot run a layer, or None."""
    if callable(p.surrogate):
        return "its surrogate is a function (spike_grad)"
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


def scan(current: Tensor, p: LIFParameters, how: How) -> Found:
    """What is wanted of all timesteps of a layer, as `lif_scan_reference` has it."""
    steps = current.shape[0]
    constant = steps == 1 or current.stride(0) == 0
    source = current[0] if constant else current
    parameters = (p.beta, p.threshold, p.slope, p.scale)
    if torch.compiler.is_compiling():
        from mpo_snn.kernels.triton_op import lif_scan_triton as operator

        return Found(*operator(source, *parameters, steps, constant, *how))
    return Found(*_Scan.apply(source, *parameters, steps, constant, how))  # type: ignore[no-untyped-call]


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        source: Tensor,
        beta: Tensor,
        threshold: Tensor,
        slope: Tensor,
        scale: Tensor,
        steps: int,
        constant: bool,
        how: How,
    ) -> Found:
        ctx.set_materialize_grads(False)
        ready = prepare(one_step(source, constant), beta, threshold, slope, scale)
        found = run_forward(source, steps, constant, ready, how)
        kept = found.v if keeps_membrane(steps) else None
        ctx.save_for_backward(source, kept, found.mean, found.u, *ready.tensors)
        ctx.how, ctx.times, ctx.indices = how, (steps, constant), ready.indices
        ctx.shapes = beta.shape, threshold.shape
        if not how.want_membrane:
            found = found._replace(v=None)
        ctx.mark_non_differentiable(*without_gradient(found))
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        source, v, mean, u, *tensors = ctx.saved_tensors
        steps, constant = ctx.times
        kept, ready = Found(source, v, mean, u=u), Prepared(tensors, ctx.indices)
        given, learns = Given(*grads[:4]), ctx.needs_input_grad[1:3]
        grad, *by = run_backward(source, steps, constant, kept, ready, given, ctx.how, learns)
        of_parameters = [
            None if each is None else each.sum_to_size(shape)
            for each, shape in zip(by, ctx.shapes, strict=True)
        ]
        return grad, *of_parameters, *[None] * 5
