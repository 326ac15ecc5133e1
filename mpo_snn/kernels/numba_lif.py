"""The scan of `mpo_snn.lif` on a CPU, compiled: one pass forward, one backward, the input saved.

The forward pass writes spikes alone, and takes MPO's statistics as it passes; the backward pass
computes the membranes anew, so that a training step holds no more than spikes and the gradient of
the input. Statistics send their gradients in the same pass: with U the mean over T timesteps, the
gradient by a membrane is (a + b (U - mean)) / T, from those by mean (a n) and squared deviations
(b / 2) of n neurons.

Products and sums round as in `lif_step`, so spikes come out identical. Sums over blocks are added
in an order that does not depend on the threads.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mpo_snn.errors import ShapeError
from mpo_snn.kernels import numba_loops as loops
from mpo_snn.kernels.numba_layout import Layout, as_steps, indexed, laid_out_as, layout_of
from mpo_snn.kernels.numba_statistics import count_inside, merge, moments_of_groups
from mpo_snn.kernels.numba_threads import share_out
from mpo_snn.lif import LIFParameters
from mpo_snn.membrane import VARIANCE_FLOOR, MembraneRecord, Moments, Sample, moments
from mpo_snn.processes import processes
from mpo_snn.surrogate import SUPPORT_SHARE, Shape, half_support, surrogate_derivative

CACHED = 2**13
"""Membranes of a block over all timesteps: what fits into the first-level cache."""
_ONE = torch.tensor(1.0)
_KINDS = {torch.float32: np.empty(0, np.float32), torch.bfloat16: np.empty(0, np.uint16)}


class How(NamedTuple):
    """What a scan computes, beside its tensors; see `LIFParameters` and `MembraneRecord`."""

    reset: str
    reset_timing: str
    input_gain: str
    surrogate: str
    want_membrane: bool = True
    statistic: str = "none"
    gamma: float = 1.0
    power: bool = False
    per_channel: bool = False
    per_neuron: bool = False
    keep_u: bool = False


class Found(NamedTuple):
    """What a scan gives; empty where nobody asked for it.

    Attributes:
        spk: spikes, (time, batch, *features), of the type of the current.
        v: membranes before reset, float32.
        moments: mean and squared deviations of U, (2,) or (2, channels).
        shares: coverage, density, power and rho, (4,).
        neurons: mean and squared deviations of U over the batch, (2, *features).
        u: U, (batch, *features).
    """

    spk: Tensor
    v: Tensor
    moments: Tensor
    shares: Tensor
    neurons: Tensor
    u: Tensor


def why_not(current: Tensor, p: LIFParameters) -> str | None:
    """Why these kernels cannot run a layer, or None."""
    if callable(p.surrogate):
        return "its surrogate is a function (spike_grad)"
    if current.dtype not in _KINDS:
        return f"its input is {str(current.dtype).removeprefix('torch.')}"
    if any(x.dtype != torch.float32 for x in (p.beta, p.threshold, p.slope, p.scale)):
        return "its parameters are not float32"
    if current.numel() == 0:
        return "its input is empty"
    if layout_of(current) is None:
        return "its input is not dense in memory"
    return None


def lif_scan_numba(current: Tensor, p: LIFParameters) -> tuple[Tensor, Tensor]:
    """Spikes and membrane of all timesteps; see `lif_scan_reference`."""
    found = _scan(current, p, _how(p))
    return found.spk, found.v


def lif_spikes_numba(current: Tensor, p: LIFParameters) -> Tensor:
    """The spikes alone."""
    return _scan(current, p, _how(p)._replace(want_membrane=False)).spk


def lif_scan_numba_sampled(
    current: Tensor, p: LIFParameters, record: MembraneRecord, want_membrane: bool
) -> tuple[Tensor, Tensor | None, Sample]:
    """Spikes, membrane if it is wanted, and the sample that a record takes of them."""
    per_channel = record.granularity == "channel" and current.dim() > 2
    how = _how(p)._replace(
        want_membrane=want_membrane,
        statistic=record.statistic,
        gamma=record.gamma,
        power=record.power,
        per_channel=per_channel,
        per_neuron=record.per_neuron,
        keep_u=processes(record.group) > 1,
    )
    found = _scan(current, p, how)
    mean, m2 = found.moments.unbind()
    neurons = Moments(current.shape[1], *found.neurons.unbind()) if how.per_neuron else None
    count = current[0].numel() / mean.numel()
    shares, rho = found.shares[:3], found.shares[3]
    u = found.u if how.keep_u else None
    sample = Sample(Moments(count, mean, m2), neurons, rho, shares, u)
    return found.spk, found.v if want_membrane else None, sample


def _scan(current: Tensor, p: LIFParameters, how: How) -> Found:
    return Found(*_Scan.apply(current, p.beta, p.threshold, p.slope, p.scale, how))  # type: ignore[no-untyped-call]


def _how(p: LIFParameters) -> How:
    return How(p.reset, p.reset_timing, p.input_gain, str(p.surrogate))


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        found = run_forward(*arguments)
        *tensors, ctx.how = arguments
        ctx.save_for_backward(*tensors, found.moments)
        ctx.mark_non_differentiable(found.shares, found.neurons, found.u)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        given = (ctx.how, *grads[:3], ctx.needs_input_grad[:3])
        return *run_backward(*ctx.saved_tensors, *given), None, None, None


def run_forward(
    current: Tensor, beta: Tensor, threshold: Tensor, slope: Tensor, scale: Tensor, how: How
) -> Found:
    """Spikes and what else is wanted."""
    layout = _layout(current)
    observed = how.statistic != "none"
    spk = layout.over_time(current.dtype)
    v = layout.over_time(torch.float32) if how.want_membrane else torch.empty(0)
    u = layout.one_step(torch.float32) if observed else torch.empty(0)
    parameters = [beta, _gain(beta, how), threshold]
    if observed:
        support = half_support(slope, SUPPORT_SHARE, _shape(how))
        parameters += [slope, _peak(slope, how), support]
    table, _kept = _table(parameters, layout)
    times, blocks = _times(layout)
    parts = np.empty((blocks if observed else 0, loops.PARTS))
    tensors = (current.data_ptr(), spk.data_ptr(), v.data_ptr(), u.data_ptr())
    codes = (*_codes(how), int(how.power))
    kind = _KINDS[current.dtype]
    share_out(
        lambda *part: loops.forward(tensors, kind, times, *part, table, codes, parts),
        blocks,
        spk.numel(),
    )
    if not observed:
        return Found(spk, v, torch.empty(0), torch.empty(0), torch.empty(0), u)
    mean, m2, *sums = merge(parts)
    if how.per_channel and len(layout.shape) > 2:
        layers = _moments(u, layout.strides[1], layout.shape[2])
    else:
        layers = torch.tensor((mean, m2))
    neurons = _moments_of_neurons(u, layout) if how.per_neuron else torch.empty(0)
    rho = _share_inside(u, layers, how.gamma, layout)
    shares = torch.tensor((*(total / spk.numel() for total in sums), rho))
    return Found(spk, v, layers, shares, neurons, u if how.keep_u else torch.empty(0))


def run_backward(
    current: Tensor,
    beta: Tensor,
    threshold: Tensor,
    slope: Tensor,
    scale: Tensor,
    moments: Tensor,
    how: How,
    by_spk: Tensor | None,
    by_v: Tensor | None,
    by_moments: Tensor | None,
    needs: tuple[bool, ...],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients by current, beta and threshold, of those that are needed, from those given."""
    layout = _layout(current)
    statistic = "none" if by_moments is None else how.statistic
    parameters = [beta, _gain(beta, how), threshold, slope, _peak(slope, how) * scale]
    if by_moments is not None:
        count = layout.neurons / (moments.numel() // 2)
        rows = (moments[0], by_moments[0] / count, 2.0 * by_moments[1])
        parameters += [threshold, *(_per_channel(row, layout) for row in rows)]
    table, _kept = _table(parameters, layout)
    at = [0, 0]
    if by_spk is not None:
        by_spk, *at = as_steps(by_spk.to(current.dtype), layout)
    if by_v is not None:
        by_v = laid_out_as(by_v, layout)
    need_current, need_beta, need_threshold = needs
    constant = layout.constant
    dx = None
    if need_current:
        dx = (layout.one_step if constant else layout.over_time)(current.dtype)
    by_beta = layout.one_step(torch.float32) if need_beta else None
    by_threshold = layout.one_step(torch.float32) if need_threshold else None
    given = (current, by_spk, by_v, dx, by_beta, by_threshold)
    tensors = tuple(0 if x is None else x.data_ptr() for x in given)
    times, blocks = _times(layout)
    decay = int(how.input_gain == "decay")
    codes = (*_codes(how._replace(statistic=statistic)), decay, int(constant))
    kind = _KINDS[current.dtype]
    share_out(
        lambda *part: loops.backward(tensors, kind, times, tuple(at), *part, table, codes),
        blocks,
        current.numel(),
    )
    if dx is not None and constant:
        dx = dx.expand(layout.shape)  # whoever repeated the input sums what are equal parts
    return (
        dx,
        None if by_beta is None else by_beta.sum_to_size(beta.shape),
        None if by_threshold is None else by_threshold.sum_to_size(threshold.shape),
    )


def _layout(current: Tensor) -> Layout:
    layout = layout_of(current)
    if layout is None:
        raise ShapeError(
            f"cannot run a layer on the backend numba: its input of shape {tuple(current.shape)}"
            f" has strides {current.stride()}, allowed is what is dense in memory. Use in_place."
        )
    return layout


def _times(layout: Layout) -> tuple[tuple[int, ...], int]:
    """What the loops want to know of the layout, and the number of blocks."""
    steps, run = layout.shape[0], layout.run
    block = max(64, min(loops.BLOCK, CACHED // steps // 16 * 16))
    per_step, per_run = (0, 0) if layout.constant else (layout.step, layout.stride)
    times = (steps, run, block, per_step, per_run, layout.step, layout.stride)
    return times, -(-run // block) * (layout.neurons // run)


def _table(parameters: list[Tensor], layout: Layout) -> tuple[Any, list[Tensor]]:
    """Where the loops find each parameter, and what must stay alive for them meanwhile."""
    found = [indexed(value, layout) for value in parameters]
    rows = [(value.data_ptr(), d, m) for value, d, m in found]
    return np.array(rows, np.int64), [value for value, _, _ in found]


def _codes(how: How) -> tuple[int, int, int]:
    return (
        loops.RESETS[how.reset, how.reset_timing],
        loops.SHAPES[how.surrogate],
        loops.STATISTICS[how.statistic],
    )


def _gain(beta: Tensor, how: How) -> Tensor:
    return 1.0 - beta if how.input_gain == "decay" else _ONE


def _shape(how: How) -> Shape:
    return cast(Shape, how.surrogate)


def _peak(slope: Tensor, how: How) -> Tensor:
    """The surrogate at the threshold."""
    if how.surrogate == "sigmoid":
        return 0.25 * slope
    return surrogate_derivative(torch.zeros_like(slope), slope, _shape(how))


def _per_channel(row: Tensor, layout: Layout) -> Tensor:
    return row.reshape(-1, *[1] * (len(layout.shape) - 3)) if row.dim() else row


def _moments(u: Tensor, d: int, m: int) -> Tensor:
    found = np.empty((2, m))
    moments_of_groups(u.data_ptr(), u.numel(), d, m, found)
    return torch.from_numpy(found).float()


def _moments_of_neurons(u: Tensor, layout: Layout) -> Tensor:
    """Over the batch, (2, *features)."""
    features = u[0].numel()
    if layout.strides[0] != features:
        found = moments(u, (0,))
        return torch.stack((found.mean, found.m2))
    in_memory = torch.empty_strided((2, *u.shape[1:]), (features, *u.stride()[1:]))
    flat = in_memory.as_strided((2, features), (features, 1))
    flat.copy_(_moments(u, 1, features))
    return in_memory


def _share_inside(u: Tensor, found: Tensor, gamma: float, layout: Layout) -> float:
    """rho, as `mpo_snn.membrane.share_inside` has it."""
    mean, m2 = found
    variance = m2 / (u.numel() // mean.numel())
    band = gamma * torch.where(variance > 0, variance.clamp(min=VARIANCE_FLOOR).sqrt(), 0.0)
    table, _kept = _table([_per_channel(x, layout) for x in (mean, band)], layout)
    at, neurons = u.data_ptr(), u.numel()
    inside = share_out(
        lambda *part: count_inside(at, neurons, *part, table), -(-neurons // loops.BLOCK), neurons
    )
    return float(sum(inside)) / neurons
