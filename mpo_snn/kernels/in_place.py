"""The scan of `mpo_snn.lif` in plain torch operators, in place, saving only the membrane.

One autograd node for all timesteps in place of some 27 a step. Spikes, surrogate and reset are
recomputed from the membrane in the backward pass. Operations and their order are those of
`lif_step`, so that spikes come out identical, bit for bit.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mpo_snn.lif import LIFParameters
from mpo_snn.surrogate import sigmoid_derivative


def lif_scan_in_place(current: Tensor, p: LIFParameters) -> tuple[Tensor, Tensor]:
    """Spikes and membrane of all timesteps; see `lif_scan_reference`.

    A current that is constant in time (time stride 0) is read once, and its gradient is summed
    over time as it is computed.

    Returns:
        spikes and membrane before reset, both (time, batch, *features).
    """
    constant = current.shape[0] > 1 and current.stride(0) == 0
    source = current[0] if constant else current
    spk, v = _Scan.apply(  # type: ignore[no-untyped-call]
        source, p.beta, p.threshold, p.slope, p.scale, p, current.shape[0] if constant else 0
    )
    return spk, v


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        beta: Tensor,
        threshold: Tensor,
        slope: Tensor,
        scale: Tensor,
        p: LIFParameters,
        repeats: int,
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        steps = repeats or current.shape[0]
        if repeats:
            v = current.new_empty((steps, *current.shape))
        else:
            v = torch.empty_like(current)
        spk = torch.empty_like(v)
        drive = _drive(current, beta, p) if repeats else None
        state = torch.zeros_like(v[0])
        scratch = torch.empty_like(state)
        for t in range(steps):
            v_t, spk_t = v[t], spk[t]
            torch.mul(state, beta, out=v_t)
            if drive is not None:
                v_t.add_(drive)
            elif p.input_gain == "unit":
                v_t.add_(current[t])
            else:
                v_t.add_(torch.mul(current[t], 1.0 - beta, out=scratch))
            if p.reset == "subtract" and p.reset_timing == "next" and t:
                v_t.sub_(torch.mul(spk[t - 1], threshold, out=scratch))
            torch.gt(v_t, threshold, out=spk_t)
            if p.reset == "zero":
                torch.le(v_t, threshold, out=scratch)
                torch.mul(scratch, v_t, out=state)
            elif p.reset == "subtract" and p.reset_timing == "step":
                torch.mul(spk_t, threshold, out=scratch)
                torch.sub(v_t, scratch, out=state)
            else:
                state = v_t
        keep_current = ctx.needs_input_grad[1] and p.input_gain == "decay"
        ctx.save_for_backward(v, beta, threshold, slope, scale, current if keep_current else None)
        ctx.p, ctx.repeats = p, repeats
        return spk, v

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_spk: Tensor | None, grad_v: Tensor | None) -> tuple[Any, ...]:
        v, beta, threshold, slope, scale, current = ctx.saved_tensors
        p: LIFParameters = ctx.p
        need_current, need_beta, need_threshold = ctx.needs_input_grad[:3]
        grad_beta = torch.zeros_like(beta) if need_beta else None
        grad_threshold = torch.zeros_like(threshold) if need_threshold else None
        gain = None if p.input_gain == "unit" else 1.0 - beta
        grad_current = torch.zeros_like(v[0]) if ctx.repeats else torch.empty_like(v)
        later: Tensor | None = None  # gradient with respect to v[t + 1]
        for t in reversed(range(v.shape[0])):
            v_t = v[t]
            if grad_spk is None:
                grad = torch.zeros_like(v_t)
            else:
                grad = sigmoid_derivative(v_t - threshold, slope).mul_(scale).mul_(grad_spk[t])
            if grad_threshold is not None:
                grad_threshold.sub_(grad.sum_to_size(threshold.shape))
            if grad_v is not None:
                grad.add_(grad_v[t])
            if later is not None:
                carried = later * beta
                fired = None if p.reset == "none" else (v_t > threshold).to(v.dtype)
                if grad_threshold is not None and p.reset == "subtract" and fired is not None:
                    through = later if p.reset_timing == "next" else carried
                    grad_threshold.sub_((through * fired).sum_to_size(threshold.shape))
                if grad_beta is not None:
                    state = _state(v_t, fired, threshold, p)
                    grad_beta.add_((later * state).sum_to_size(beta.shape))
                if p.reset == "zero" and fired is not None:
                    carried.mul_(1.0 - fired)
                grad.add_(carried)
            if grad_beta is not None and current is not None:
                drive = current if ctx.repeats else current[t]
                grad_beta.sub_((drive * grad).sum_to_size(beta.shape))
            if need_current:
                scaled = grad if gain is None else grad * gain
                if ctx.repeats:
                    grad_current.add_(scaled)
                else:
                    grad_current[t] = scaled
            later = grad
        return (
            grad_current if need_current else None,
            grad_beta,
            grad_threshold,
            None,
            None,
            None,
            None,
        )


def _drive(current: Tensor, beta: Tensor, p: LIFParameters) -> Tensor:
    return current if p.input_gain == "unit" else current * (1.0 - beta)


def _state(v: Tensor, fired: Tensor | None, threshold: Tensor, p: LIFParameters) -> Tensor:
    if fired is None or (p.reset == "subtract" and p.reset_timing == "next"):
        return v
    return (1.0 - fired) * v if p.reset == "zero" else v - fired * threshold
