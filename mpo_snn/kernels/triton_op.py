"""`torch.ops.mpo_snn.lif_scan_triton`: the scan on a GPU as an operator that torch knows.

What `lif_op` is to the compiled scan of a CPU: `torch.compile` sees one operator with its shapes
and its gradient. Called eagerly a layer goes past it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpo_snn.kernels.triton_scan import (
    Found,
    How,
    one_step,
    over_time,
    prepare,
    room_for,
    run_backward,
    run_forward,
    without_gradient,
)


@torch.library.custom_op("mpo_snn::lif_scan_triton", mutates_args=(), device_types=("cpu", "cuda"))
def lif_scan_triton(
    source: Tensor,
    beta: Tensor,
    threshold: Tensor,
    slope: Tensor,
    scale: Tensor,
    steps: int,
    constant: bool,
    reset: str,
    reset_timing: str,
    input_gain: str,
    surrogate: str,
    statistic: str,
    power: bool,
    want_membrane: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Run a layer over all timesteps: what `triton_scan.Found` has.

    Args:
        source: input in volt, (time, batch, *features), or (batch, *features) where it is constant.
        beta: leak, broadcast against one timestep, as the following.
        threshold: firing threshold in volt.
        slope: of the surrogate, 1/volt.
        scale: of the surrogate.
        steps: this and the following as in `triton_scan.How`.
        constant: see there.
        reset: see there.
        reset_timing: see there.
        input_gain: see there.
        surrogate: see there.
        statistic: see there.
        power: see there.
        want_membrane: see there.
    """
    kind = (reset, reset_timing, input_gain, surrogate)
    how = How(steps, constant, *kind, statistic, power, want_membrane)
    step = one_step(source, constant)
    return run_forward(source, step, prepare(step, beta, threshold, slope, scale), how)


@torch.library.custom_op(
    "mpo_snn::lif_scan_triton_backward", mutates_args=(), device_types=("cpu", "cuda")
)
def lif_scan_triton_backward(
    source: Tensor,
    kept: Tensor,
    beta: Tensor,
    threshold: Tensor,
    slope: Tensor,
    scale: Tensor,
    by_spk: Tensor | None,
    by_v: Tensor | None,
    by_u: Tensor | None,
    steps: int,
    constant: bool,
    reset: str,
    reset_timing: str,
    input_gain: str,
    surrogate: str,
    statistic: str,
) -> Tensor:
    """The gradient by the source; see `triton_scan.run_backward`."""
    kind = (reset, reset_timing, input_gain, surrogate)
    how = How(steps, constant, *kind, statistic, power=False, want_membrane=False)
    step = one_step(source, constant)
    ready = prepare(step, beta, threshold, slope, scale)
    return run_backward(source, step, kept, ready, (by_spk, by_v, by_u), how)


@lif_scan_triton.register_fake
def _shapes(source: Tensor, beta: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    how = How(*rest[3:])
    step = one_step(source, how.constant)
    shares = step.new_empty(3 if how.observed else 0, dtype=torch.float32)
    return Found(*room_for(source, step, beta, how), shares)


@lif_scan_triton_backward.register_fake
def _backward_shapes(source: Tensor, *rest: Any) -> Tensor:
    steps, constant = rest[8:10]
    step = one_step(source, constant)
    return torch.empty_like(step) if constant else over_time(step, steps, source.dtype)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    found, how = Found(*output), How(*inputs[5:])
    ctx.how = how
    ctx.set_materialize_grads(False)
    kept = found.v if how.keeps_membrane else found.v.new_empty(0)
    ctx.save_for_backward(inputs[0], kept, *inputs[1:5])
    ctx.mark_non_differentiable(*without_gradient(found, how))


def _gradient(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    how = ctx.how
    found = lif_scan_triton_backward(*ctx.saved_tensors, *grads[:3], *how[:7])
    return found, *[None] * (4 + len(how))


lif_scan_triton.register_autograd(_gradient, setup_context=_keep)
