"""Tensors in, tensors out: the compiled loops of a layer, forward and backward, without autograd.

The forward pass writes spikes alone, and takes MPO's statistics as it passes; the backward pass
computes the membranes anew, so that a training step holds no more than spikes and the gradient of
the input. Statistics send their gradients in the same pass: with U the mean over T timesteps of n
neurons, the gradient by a membrane is (a / n + 2 b (U - mean)) / T, from those by the mean (a) and
by the sum of squared deviations (b).

Products and sums round as in `lif_step`, so spikes come out identical. Sums over blocks are added
in an order that does not depend on the threads.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mpo_snn.kernels.numba_backward import backward
from mpo_snn.kernels.numba_bells import SHAPES
from mpo_snn.kernels.numba_forward import RESETS, STATISTICS, forward
from mpo_snn.kernels.numba_layout import Layout, as_steps, dense_layout, indexed, laid_out_as
from mpo_snn.kernels.numba_rows import BLOCK, FLOAT, VALUE
from mpo_snn.kernels.numba_statistics import PARTS, count_inside, merge, moments_of_groups
from mpo_snn.kernels.numba_threads import share_out
from mpo_snn.kernels.sampled import Found, Given, How
from mpo_snn.moments import moments

LARGE = 2**22
"""Bytes of a result that has left the caches before anybody reads it."""
KINDS = {torch.float32: FLOAT, torch.bfloat16: np.empty(0, np.uint16)}


class Parameters(NamedTuple):
    """Of a layer; see `LIFParameters`.

    Attributes:
        beta: leak.
        threshold: of the neurons.
        slope: of the surrogate.
        scale: of the surrogate.
    """

    beta: Tensor
    threshold: Tensor
    slope: Tensor
    scale: Tensor


def run_forward(current: Tensor, p: Parameters, how: How) -> Found:
    """Spikes and what else is wanted."""
    layout = dense_layout(current)
    spk = layout.over_time(current.dtype)
    v = layout.over_time(torch.float32) if how.want_membrane else None
    tensors = [current.data_ptr(), spk.data_ptr(), 0 if v is None else v.data_ptr(), 0]
    times, blocks = _times(layout)
    past_caches = _goes_past_caches(spk, layout)
    kind, codes = KINDS[current.dtype], (*_codes(how, how.statistic), int(how.power), past_caches)
    decay = int(how.input_gain == "decay")
    if how.statistic == "none":
        table, _kept = _table(p[:2], layout)
        run = _of_blocks(forward, tuple(tensors), kind, times, table, codes, decay, _NO_PARTS)
        share_out(run, blocks, spk.numel())
        return Found(spk, v)
    u = layout.one_step(torch.float32)
    tensors[3] = u.data_ptr()
    table, _kept = _table(p[:3], layout)
    parts = np.empty((blocks, PARTS))
    run = _of_blocks(forward, tuple(tensors), kind, times, table, codes, decay, parts)
    share_out(run, blocks, spk.numel())
    groups = (layout.shape[2],) if how.per_channel else ()
    # What a stride of a single channel is, nobody says.
    d = layout.strides[1] if math.prod(groups) > 1 else layout.neurons
    mean, m2, shares = (torch.empty(size, dtype=torch.float32) for size in (groups, groups, (4,)))
    at = (mean.data_ptr(), m2.data_ptr())
    merge(parts, spk.numel(), (0, 0) if how.per_channel else at, shares.data_ptr())
    if how.per_channel:
        moments_of_groups(u.data_ptr(), layout.neurons, d, mean.numel(), at)
    shares.numpy()[3] = _share_inside(u, mean, m2, d, how.gamma)
    return Found(
        spk,
        v,
        mean,
        m2,
        shares,
        _moments_of_neurons(u, layout) if how.per_neuron else None,
        u if how.keep_u else None,
    )


def run_backward(
    current: Tensor,
    p: Parameters,
    mean: Tensor | None,
    given: Given,
    needs: tuple[bool, ...],
    how: How,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients by current, beta and threshold, of those that are needed, from those given."""
    layout = dense_layout(current)
    parameters, statistic = tuple(p), "none"
    if given.mean is not None or given.m2 is not None:
        statistic = how.statistic
        assert mean is not None, "gradients by moments are of a scan that took them"
        by_mean, by_m2 = (torch.zeros_like(mean) if x is None else x for x in given[2:])
        rows = (by_mean, by_m2, mean)
        parameters += tuple(_per_channel(row, layout) for row in rows)
    table, _kept = _table(parameters, layout)
    by_spk, by_v, step, stride = given.spk, given.v, 0, 0
    if by_spk is not None:
        by_spk, step, stride = as_steps(by_spk, layout)
    if by_v is not None:
        by_v = laid_out_as(by_v, layout)
    constant = layout.constant
    dx = by_beta = by_threshold = None
    if needs[0]:
        dx = (layout.one_step if constant else layout.over_time)(current.dtype)
    if needs[1]:
        by_beta = layout.one_step(torch.float32)
    if needs[2]:
        by_threshold = layout.one_step(torch.float32)
    tensors = (current, by_spk, by_v, dx, by_beta, by_threshold)
    addresses = tuple(0 if x is None else x.data_ptr() for x in tensors)
    times, blocks = _times(layout)
    past = 0 if dx is None or constant else _goes_past_caches(dx, layout)
    codes = (*_codes(how, statistic), int(how.input_gain == "decay"), int(constant), past)
    count = layout.neurons / (mean.numel() if mean is not None and mean.numel() else 1)
    rest = (table, codes, (step, stride), count)
    run = _of_blocks(backward, addresses, KINDS[current.dtype], times, *rest)
    share_out(run, blocks, current.numel())
    if dx is not None and constant:
        dx = dx.expand(layout.shape)  # equal parts, which whoever repeated the current adds up
    return (
        dx,
        None if by_beta is None else by_beta.sum_to_size(p.beta.shape),
        None if by_threshold is None else by_threshold.sum_to_size(p.threshold.shape),
    )


_NO_PARTS = np.empty((0, PARTS))


def _of_blocks(loop: Any, tensors: Any, kind: Any, times: Any, *rest: Any) -> Any:
    """A loop with its arguments, to be called with its first and last block."""
    return lambda first, last: loop(tensors, kind, times, first, last, *rest)


def _times(layout: Layout) -> tuple[tuple[int, ...], int]:
    """What the loops want to know of the layout, and the number of blocks."""
    steps, run = layout.shape[0], layout.run
    per_step, per_run = (0, 0) if layout.constant else (layout.step, layout.stride)
    times = (steps, run, BLOCK, per_step, per_run, layout.step, layout.stride)
    return times, -(-run // BLOCK) * (layout.neurons // run)


def _goes_past_caches(result: Tensor, layout: Layout) -> int:
    """Whether what is written is better not kept in the caches, and can be stored so."""
    if result.dtype != torch.float32 or result.numel() * 4 < LARGE:
        return 0
    return int(not (result.data_ptr() % 64 or layout.step % 16 or layout.stride % 16))


def _table(parameters: tuple[Tensor, ...], layout: Layout) -> tuple[Any, list[Tensor]]:
    """Where the loops find each parameter, and what must stay alive for them meanwhile."""
    found = [indexed(value, layout) for value in parameters]
    rows = [(value.data_ptr(), d, m) for value, d, m in found]
    return np.array(rows, np.int64), [value for value, _, _ in found]


def _codes(how: How, statistic: str) -> tuple[int, int, int]:
    reset = RESETS[how.reset, how.reset_timing]
    return reset, SHAPES[how.surrogate], STATISTICS[statistic]


def _per_channel(row: Tensor, layout: Layout) -> Tensor:
    return row.reshape(-1, *[1] * (len(layout.shape) - 3)) if row.dim() else row


def _moments_of_neurons(u: Tensor, layout: Layout) -> Tensor:
    """Over the batch, (2, *features)."""
    features = layout.neurons // layout.shape[1]
    if layout.strides[0] != features:
        found = moments(u, (0,))
        return torch.stack((found.mean, found.m2))
    strides = (features, *layout.strides[1:])
    result = torch.empty_strided((2, *u.shape[1:]), strides, dtype=torch.float32)
    start = result.data_ptr()
    at = (start, start + VALUE * features)
    moments_of_groups(u.data_ptr(), layout.neurons, 1, features, at)
    return result


def _share_inside(u: Tensor, mean: Tensor, m2: Tensor, d: int, gamma: float) -> float:
    """rho; mean, sigma and band in float32, as `mpo_snn.membrane` has them."""
    neurons, m = u.numel(), mean.numel()
    table = np.array(((mean.data_ptr(), d, m), (m2.data_ptr(), d, m)), np.int64)
    inside = share_out(
        lambda first, last: count_inside(
            u.data_ptr(), neurons, first, last, table, neurons // m, gamma
        ),
        -(-neurons // BLOCK),
        neurons,
    )
    return float(sum(inside)) / neurons
