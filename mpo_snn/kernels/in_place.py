"""The scan of `mpo_snn.lif` in plain torch operators, in place, saving only the membrane.

One autograd node for all timesteps in place of some 27 a step. Spikes, surrogate and reset are
recomputed from the membrane in the backward pass. Every product and sum of the forward pass rounds
as it does in `lif_step`, so that spikes come out identical, bit for bit.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mpo_snn.lif import LIFParameters
from mpo_snn.surrogate import surrogate_derivative


def lif_scan_in_place(current: Tensor, p: LIFParameters) -> tuple[Tensor, Tensor]:
    """Spikes and membrane of all timesteps; see `lif_scan_reference`.

    A current that is constant in time (time stride 0) is read once, and its gradient is summed
    over time.

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
        v = current.new_empty((repeats, *current.shape)) if repeats else torch.empty_like(current)
        spk = torch.empty_like(v)
        if p.input_gain == "unit":
            v.copy_(current)
        else:
            torch.mul(current.expand(v.shape), 1.0 - beta, out=v)
        late = p.reset == "subtract" and p.reset_timing == "next"
        state = torch.empty_like(v[0])
        for t, (v_t, spk_t) in enumerate(zip(v.unbind(), spk.unbind(), strict=True)):
            if t:
                v_t.add_(torch.mul(state, beta, out=spk_t))  # free until the spikes are known
                if late:
                    _add_product(v_t, spk[t - 1], -threshold)
            torch.gt(v_t, threshold, out=spk_t)
            # A product with a spike is exact, so these round as lif_step's two operations do.
            if p.reset == "zero":
                torch.addcmul(v_t, v_t, spk_t, value=-1.0, out=state)
            elif p.reset == "subtract" and not late:
                _add_product(state.copy_(v_t), spk_t, -threshold)
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
        grad = torch.empty_like(v)  # with respect to v; what later steps send is added as it comes
        if grad_spk is None:
            grad.zero_()
        else:
            _through_spikes(v, grad_spk, threshold, slope, scale, p, out=grad)
        if grad_threshold is not None:
            grad_threshold.sub_(grad.sum(0).sum_to_size(threshold.shape))
        if grad_v is not None:
            grad.add_(grad_v)
        scratch = torch.empty_like(v[0])
        for t in reversed(range(v.shape[0] - 1)):
            v_t, later = v[t], grad[t + 1]
            if grad_threshold is not None and p.reset == "subtract":
                through = later if p.reset_timing == "next" else later * beta
                torch.gt(v_t, threshold, out=scratch)
                grad_threshold.sub_(scratch.mul_(through).sum_to_size(threshold.shape))
            if grad_beta is not None:
                grad_beta.add_((later * _state(v_t, threshold, p)).sum_to_size(beta.shape))
            if p.reset == "zero":
                later = torch.le(v_t, threshold, out=scratch).mul_(later)
            _add_product(grad[t], later, beta)
        if grad_beta is not None and current is not None:
            grad_beta.sub_((grad * current).sum(0).sum_to_size(beta.shape))
        grad_current = None
        if need_current:
            grad_current = grad.sum(0) if ctx.repeats else grad
            if p.input_gain == "decay":
                grad_current.mul_(1.0 - beta)
        return grad_current, grad_beta, grad_threshold, None, None, None, None


def _through_spikes(
    v: Tensor,
    grad_spk: Tensor,
    threshold: Tensor,
    slope: Tensor,
    scale: Tensor,
    p: LIFParameters,
    *,
    out: Tensor,
) -> None:
    r"""The gradient that comes through the spikes, grad_spk times the surrogate at v.

    The sigmoid, with x = v - threshold, as :math:`s(x; k) = (k/4) (1 - \tanh^2(kx/2))`, the form
    that needs the fewest passes; it is exact to 6e-8 of its peak.
    """
    if p.surrogate != "sigmoid":
        torch.sub(v, threshold, out=out)
        torch.mul(grad_spk, surrogate_derivative(out, slope, p.surrogate), out=out).mul_(scale)
        return
    half = 0.5 * slope
    if _is_number(threshold) and _is_number(slope):
        torch.add(-half * threshold, v, alpha=half.item(), out=out)
    else:
        torch.sub(v, threshold, out=out).mul_(half)
    torch.ops.aten.tanh_backward.grad_input(grad_spk, out.tanh_(), grad_input=out)
    out.mul_(0.5 * half * scale)


def _state(v: Tensor, threshold: Tensor, p: LIFParameters) -> Tensor:
    """The membrane that a step hands on, from the one before its reset."""
    if p.reset == "none" or (p.reset == "subtract" and p.reset_timing == "next"):
        return v
    fired = (v > threshold).to(v.dtype)
    return (1.0 - fired) * v if p.reset == "zero" else v - fired * threshold


def _add_product(target: Tensor, a: Tensor, b: Tensor) -> None:
    """Add a * b to target in place, for a parameter b of the layer."""
    if _is_number(b):
        target.add_(a, alpha=b.item())
    else:
        target.addcmul_(a, b)


def _is_number(b: Tensor) -> bool:
    """Whether to hand b to an operator as a number: one pass less, and no wait on a CPU.

    Not while torch compiles: it cannot take a number out of a tensor within a gradient.
    """
    return b.dim() == 0 and b.device.type == "cpu" and not torch.compiler.is_compiling()
