"""`torch.ops.mpo_snn.lif_scan`: the compiled scan as an operator that torch knows.

`torch.compile` and `torch.export` see one operator with its shapes and its gradient in place of
Python they cannot read. Called eagerly a layer goes past it: the dispatcher's way into Python and
back takes longer than a small layer.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mpo_snn.kernels.numba_layout import Layout, dense_layout
from mpo_snn.kernels.numba_scan import Parameters, run_backward, run_forward
from mpo_snn.kernels.sampled import Given, How

_empty = partial(torch.empty, dtype=torch.float32)


@torch.library.custom_op("mpo_snn::lif_scan", mutates_args=(), device_types="cpu")
def lif_scan(
    current: Tensor,
    beta: Tensor,
    threshold: Tensor,
    slope: Tensor,
    scale: Tensor,
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
        current: input in volt, (time, batch, *features), float32 or bfloat16, dense in memory.
        beta: leak, broadcast against one timestep, as the following; float32.
        threshold: firing threshold in volt.
        slope: of the surrogate, 1/volt.
        scale: of the surrogate.
        reset: kind of reset (`mpo_snn.lif`).
        reset_timing: when it acts.
        input_gain: what the current is multiplied by.
        surrogate: shape by name.
        want_membrane: whether membranes are written.
        statistic: U is the `mean` over time or the `final` membrane; `none` for no statistics.
        gamma: half-band of rho, in sigmas.
        power: whether the shares have the mean square of the surrogate.
        per_channel: whether moments are per channel.
        per_neuron: whether every neuron's moments over the batch are taken.
        keep_u: whether U is given.
    """
    how = How(
        reset,
        reset_timing,
        input_gain,
        surrogate,
        want_membrane,
        statistic,
        gamma,
        power,
        per_channel,
        per_neuron,
        keep_u,
    )
    found = run_forward(current, Parameters(beta, threshold, slope, scale), how)
    return _all(found)  # type: ignore[return-value]


@torch.library.custom_op("mpo_snn::lif_scan_backward", mutates_args=(), device_types="cpu")
def lif_scan_backward(
    current: Tensor,
    beta: Tensor,
    threshold: Tensor,
    slope: Tensor,
    scale: Tensor,
    mean: Tensor,
    by_spk: Tensor | None,
    by_v: Tensor | None,
    by_mean: Tensor | None,
    by_m2: Tensor | None,
    needs: list[bool],
    reset: str,
    reset_timing: str,
    input_gain: str,
    surrogate: str,
    statistic: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients by current, beta and threshold; empty where `needs` says that nobody asked."""
    how = How(reset, reset_timing, input_gain, surrogate, statistic=statistic)
    p = Parameters(beta, threshold, slope, scale)
    given = Given(by_spk, by_v, by_mean, by_m2)
    found = run_backward(current, p, mean, given, tuple(needs), how)
    return _all(found)  # type: ignore[return-value]


def _all(found: Iterable[Tensor | None]) -> tuple[Tensor, ...]:
    """An operator gives tensors alone."""
    return tuple(_empty(0) if x is None else x for x in found)


@lif_scan.register_fake
def _shapes(
    current: Tensor, beta: Tensor, threshold: Tensor, slope: Tensor, scale: Tensor, *how: Any
) -> tuple[Tensor, ...]:
    layout, wanted = dense_layout(current), How(*how)
    none = 0 if wanted.statistic == "none" else None
    moments = () if not wanted.per_channel else (layout.shape[2],)

    def small(*shape: int) -> Tensor:
        return _empty(shape if none is None else (none,))

    return (
        layout.over_time(current.dtype),
        layout.over_time(torch.float32) if wanted.want_membrane else _empty(0),
        small(*moments),
        small(*moments),
        small(4),
        _neurons(layout) if wanted.per_neuron and none is None else _empty(0),
        layout.one_step(torch.float32) if wanted.keep_u and none is None else _empty(0),
    )


def _neurons(layout: Layout) -> Tensor:
    features = layout.shape[2:]
    size = layout.neurons // layout.shape[1]
    if layout.strides[0] != size:
        return _empty((2, *features))
    return torch.empty_strided((2, *features), (size, *layout.strides[1:]), dtype=torch.float32)


@lif_scan_backward.register_fake
def _backward_shapes(
    current: Tensor, beta: Tensor, threshold: Tensor, *rest: Any
) -> tuple[Tensor, ...]:
    layout, needs = dense_layout(current), rest[7]
    dx = _empty(0)
    if needs[0] and layout.constant:
        dx = layout.one_step(current.dtype).expand(layout.shape)
    elif needs[0]:
        dx = layout.over_time(current.dtype)
    return (
        dx,
        _empty(beta.shape if needs[1] else (0,)),
        _empty(threshold.shape if needs[2] else (0,)),
    )


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.how = How(*inputs[5:])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:5], output[2])
    ctx.mark_non_differentiable(*output[4:])


def _gradient(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    needs, how = list(ctx.needs_input_grad[:3]), ctx.how
    by_v = grads[1] if how.want_membrane else None
    by_moments = (None, None) if how.statistic == "none" else grads[2:4]
    given = (grads[0], by_v, *by_moments)
    found = lif_scan_backward(*ctx.saved_tensors, *given, needs, *how[:4], how.statistic)
    wanted = [x if need else None for x, need in zip(found, needs, strict=True)]
    return *wanted, *[None] * (2 + len(how))


lif_scan.register_autograd(_gradient, setup_context=_keep)
