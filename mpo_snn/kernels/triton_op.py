"""`torch.ops.mpo_snn.lif_scan_triton`: the scan on a GPU as an operator that torch knows.

What `lif_op` is to the compiled scan of a CPU: `torch.compile` sees one operator with its shapes
and its gradient. Called eagerly a layer goes past it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from mpo_snn.kernels.sampled import Found, Given, How
from mpo_snn.kernels.triton_layout import one_step, over_time
from mpo_snn.kernels.triton_scan import (
    keeps_membrane,
    prepare,
    room_for,
    run_backward,
    run_forward,
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
    want_membrane: bool = True,
    statistic: str = "none",
    gamma: float = 1.0,
    power: bool = False,
    per_channel: bool = False,
    per_neuron: bool = False,
    keep_u: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Run a layer over all timesteps: what `sampled.Found` has, empty where that has None.

    Args:
        source: input in volt, (time, batch, *features), or (batch, *features) where it is constant.
        beta: leak, broadcast against one timestep, as the following.
        threshold: firing threshold in volt.
        slope: of the surrogate, 1/volt.
        scale: of the surrogate.
        steps: T.
        constant: whether there is one timestep of input, the same at every T.
        reset: this and the following as in `sampled.How`.
        reset_timing: see there.
        input_gain: see there.
        surrogate: see there.
        want_membrane: see there.
        statistic: see there.
        gamma: see there.
        power: see there.
        per_channel: see there.
        per_neuron: see there.
        keep_u: see there.
    """
    kind = (reset, reset_timing, input_gain, surrogate, want_membrane)
    how = How(*kind, statistic, gamma, power, per_channel, per_neuron, keep_u)
    ready = prepare(one_step(source, constant), beta, threshold, slope, scale)
    return _all(source, run_forward(source, steps, constant, ready, how))  # type: ignore[return-value]


@torch.library.custom_op(
    "mpo_snn::lif_scan_triton_backward", mutates_args=(), device_types=("cpu", "cuda")
)
def lif_scan_triton_backward(
    source: Tensor,
    v: Tensor,
    mean: Tensor,
    u: Tensor,
    beta: Tensor,
    threshold: Tensor,
    slope: Tensor,
    scale: Tensor,
    by_spk: Tensor | None,
    by_v: Tensor | None,
    by_mean: Tensor | None,
    by_m2: Tensor | None,
    learns: list[bool],
    steps: int,
    constant: bool,
    reset: str,
    reset_timing: str,
    input_gain: str,
    surrogate: str,
    statistic: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients by source, beta and threshold; empty where `learns` says that nobody asked."""
    how = How(reset, reset_timing, input_gain, surrogate, statistic=statistic)
    ready = prepare(one_step(source, constant), beta, threshold, slope, scale)
    kept, given = Found(source, v, mean, u=u), Given(by_spk, by_v, by_mean, by_m2)
    wanted = (learns[0], learns[1])
    grad, *by = run_backward(source, steps, constant, kept, ready, given, how, wanted)
    summed = (
        None if each is None else each.sum_to_size(parameter.shape)
        for each, parameter in zip(by, (beta, threshold), strict=True)
    )
    return _all(source, (grad, *summed))  # type: ignore[return-value]


def _all(source: Tensor, found: Iterable[Tensor | None]) -> tuple[Tensor, ...]:
    """An operator gives tensors alone."""
    return tuple(source.new_empty(0) if x is None else x for x in found)


@lif_scan_triton.register_fake
def _shapes(source: Tensor, beta: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    steps, constant, how = rest[3], rest[4], How(*rest[5:])
    spk, v, u = room_for(source, steps, constant, beta, how)
    found = Found(spk, v if v.numel() else None)
    if u is not None:
        features = u.shape[1:]
        groups = features[:1] if how.per_channel else ()
        mean, m2, shares = (u.new_empty(size) for size in (groups, groups, 4))
        neurons = u.new_empty((2, *features)) if how.per_neuron else None
        found = Found(spk, found.v, mean, m2, shares, neurons, u)
    return _all(source, found)


@lif_scan_triton_backward.register_fake
def _backward_shapes(source: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    learns, steps, constant = rest[11:14]
    step = one_step(source, constant)
    grad = torch.empty_like(step) if constant else over_time(step, steps, source.dtype)
    dtype = torch.promote_types(source.dtype, rest[3].dtype)
    by = (
        source.new_empty(parameter.shape, dtype=dtype) if wanted else None
        for wanted, parameter in zip(learns, rest[3:5], strict=True)
    )
    return _all(source, (grad, *by))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.times, ctx.how = inputs[5:7], How(*inputs[7:])
    ctx.set_materialize_grads(False)
    kept = output[1] if keeps_membrane(ctx.times[0]) else output[1].new_empty(0)
    ctx.save_for_backward(inputs[0], kept, output[2], output[6], *inputs[1:5])
    never = [] if ctx.how.want_membrane else [output[1]]
    ctx.mark_non_differentiable(*never, *output[4:])


def _gradient(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    how = ctx.how
    by_moments = (None, None) if how.statistic == "none" else grads[2:4]
    given = (grads[0], grads[1], *by_moments)
    kind = (*how[:4], how.statistic)
    learns = list(ctx.needs_input_grad[1:3])
    found = lif_scan_triton_backward(*ctx.saved_tensors, *given, learns, *ctx.times, *kind)
    by = [each if wanted else None for each, wanted in zip(found[1:], learns, strict=True)]
    return found[0], *by, *[None] * (4 + len(how))


lif_scan_triton.register_autograd(_gradient, setup_context=_keep)
