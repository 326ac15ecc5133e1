"""The scan of `mpo_snn.synapse` in plain torch operators, in place: one autograd node.

The scan is linear, so its backward pass is the same scan against time. The input is saved only
where alpha is learnt under `decay`; every product and sum rounds as it does in `synapse_step`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mpo_snn.lif import InputGain


def synapse_scan_in_place(x: Tensor, alpha: Tensor, input_gain: InputGain) -> Tensor:
    """Synaptic currents of all timesteps, (time, batch, *features); see `synapse_scan_reference`.

    An input that is constant in time (time stride 0) is read once, and its gradient is summed over
    time.
    """
    constant = x.shape[0] > 1 and x.stride(0) == 0
    source = x[0] if constant else x
    repeats = x.shape[0] if constant else 0
    current: Tensor = _Scan.apply(source, alpha, input_gain, repeats)  # type: ignore[no-untyped-call]
    return current


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, input_gain: InputGain, repeats: int) -> Tensor:
        over_time = x.expand(repeats, *x.shape) if repeats else x
        current = torch.empty_like(over_time)
        if input_gain == "unit":
            current.copy_(over_time)
        else:
            torch.mul(over_time, 1.0 - alpha, out=current)
        carried = torch.empty_like(current[0])
        for before, now in pairwise(current):
            now.add_(torch.mul(before, alpha, out=carried))
        learns = ctx.needs_input_grad[1]
        ctx.save_for_backward(
            alpha, current if learns else None, x if learns and input_gain == "decay" else None
        )
        ctx.input_gain, ctx.repeats = input_gain, repeats
        return current

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_current: Tensor) -> tuple[Any, ...]:
        alpha, current, x = ctx.saved_tensors
        need_x, need_alpha = ctx.needs_input_grad[:2]
        grad = grad_current.clone()  # by current; what later steps send is added as it comes
        carried = torch.empty_like(grad[0])
        for t in reversed(range(grad.shape[0] - 1)):
            grad[t].add_(torch.mul(grad[t + 1], alpha, out=carried))
        grad_alpha = None
        if need_alpha:
            grad_alpha = (grad[1:] * current[:-1]).sum(0).sum_to_size(alpha.shape)
            if x is not None:
                grad_alpha = grad_alpha - (grad * x).sum(0).sum_to_size(alpha.shape)
        grad_x = None
        if need_x:
            grad_x = grad.sum(0) if ctx.repeats else grad
            if ctx.input_gain == "decay":
                grad_x.mul_(1.0 - alpha)
        return grad_x, grad_alpha, None, None
