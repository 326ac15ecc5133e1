"""Statistics of U on a GPU: what the programs of the scan found, merged; and rho, in one pass.

Sums are taken in an order that depends on the sizes alone, those over programs in float64: first
means, then squared deviations from them (Chan et al. 1983). Of a training step of ResNet-19 in
bfloat16, the four passes of plain torch that counted rho (difference, absolute value, comparison,
mean) took 8 % on an H200: more than all else that MPO did.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from mpo_snn.kernels.triton_layout import indexed
from mpo_snn.moments import VARIANCE_FLOOR, Moments

BLOCK = 1024
MOST = 1024
"""Programs that count rho, each with every so many-th block; their sums are one block."""
ROWS = 6
"""What a program of the scan leaves: covered, fired, power, count, mean and squared deviations."""
LEAST = tl.constexpr(VARIANCE_FLOOR)


@triton.jit
def merge_kernel(  # type: ignore[no-untyped-def]
    sums, means, m2s, shares, programs,
    STEPS: tl.constexpr, ROUNDS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Mean, squared deviations, coverage, density and power of all programs together."""
    at = tl.arange(0, BLOCK)
    count = tl.zeros((BLOCK,), tl.float64)
    total = tl.zeros((BLOCK,), tl.float64)
    covered = tl.zeros((BLOCK,), tl.float64)
    fired = tl.zeros((BLOCK,), tl.float64)
    power = tl.zeros((BLOCK,), tl.float64)
    for _ in range(ROUNDS):
        inside = at < programs
        covered += tl.load(sums + at, mask=inside, other=0.0)
        fired += tl.load(sums + programs + at, mask=inside, other=0.0)
        power += tl.load(sums + 2 * programs + at, mask=inside, other=0.0)
        own = tl.load(sums + 3 * programs + at, mask=inside, other=0.0).to(tl.float64)
        total += own * tl.load(sums + 4 * programs + at, mask=inside, other=0.0)
        count += own
        at += BLOCK
    values = tl.sum(count)
    mean = tl.sum(total) / values
    at = tl.arange(0, BLOCK)
    m2 = tl.zeros((BLOCK,), tl.float64)
    for _ in range(ROUNDS):
        inside = at < programs
        own = tl.load(sums + 3 * programs + at, mask=inside, other=0.0).to(tl.float64)
        away = tl.load(sums + 4 * programs + at, mask=inside, other=0.0) - mean
        m2 += tl.load(sums + 5 * programs + at, mask=inside, other=0.0) + own * away * away
        at += BLOCK
    tl.store(means, mean)
    tl.store(m2s, tl.sum(m2))
    tl.store(shares, tl.sum(covered) / (values * STEPS))
    tl.store(shares + 1, tl.sum(fired) / (values * STEPS))
    tl.store(shares + 2, tl.sum(power) / (values * STEPS))


@triton.jit
def band_kernel(  # type: ignore[no-untyped-def]
    us, means, m2s, sums, size, count, gamma, d0, m0,
    ROUNDS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """How many values of this program's blocks lie within gamma sigmas of the mean."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    step = tl.num_programs(0).to(tl.int64) * BLOCK
    found = tl.zeros((BLOCK,), tl.float32)
    for _ in range(ROUNDS):
        inside = i < size
        group = i // d0 % m0
        u = tl.load(us + i, mask=inside, other=0.0)
        mean = tl.load(means + group, mask=inside, other=0.0)
        variance = tl.load(m2s + group, mask=inside, other=0.0) / count
        sigma = tl.where(variance > 0.0, tl.sqrt(tl.maximum(variance, LEAST)), 0.0)
        found += (inside & (tl.abs(u - mean) <= gamma * sigma)).to(tl.float32)
        i += step
    tl.store(sums + tl.program_id(0), tl.sum(found))


@triton.jit
def share_kernel(sums, share, programs, size, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """The share that all programs of `band_kernel` counted."""
    at = tl.arange(0, BLOCK)
    counts = tl.load(sums + at, mask=at < programs, other=0.0).to(tl.float64)
    tl.store(share, tl.sum(counts) / size)


def merge_programs(sums: Tensor, steps: int, mean: Tensor, m2: Tensor, shares: Tensor) -> None:
    """Write moments of all U, 0-d, and the first three shares.

    Args:
        sums: what the programs of the scan left, (`ROWS`, programs).
        steps: T.
        mean: is written.
        m2: is written.
        shares: coverage, density and power are written.
    """
    programs = sums.shape[1]
    merge_kernel[(1,)](
        sums, mean, m2, shares, programs,
        STEPS=steps, ROUNDS=triton.cdiv(programs, BLOCK), BLOCK=BLOCK,
    )  # fmt: skip


def write_share_inside(u: Tensor, layer: Moments, gamma: float, share: Tensor) -> None:
    """`mpo_snn.membrane.share_inside` of U that is dense in memory.

    Args:
        u: (batch, *features).
        layer: its moments, 0-d or (channels,).
        gamma: half-band, in sigmas.
        share: its first value is written.
    """
    channels = (-1, *[1] * (u.dim() - 2)) if layer.mean.dim() else ()
    m2, count = layer.m2, layer.count
    if isinstance(count, Tensor):  # of several processes: to read it here would wait for the device
        m2, count = layer.variance, 1.0
    (mean, at), (m2, _) = (indexed(x.reshape(channels), u) for x in (layer.mean, m2))
    blocks = triton.cdiv(u.numel(), BLOCK)
    programs = min(MOST, blocks)
    sums = u.new_empty(programs)
    band_kernel[(programs,)](
        u, mean, m2, sums, u.numel(), float(count), gamma, *at,
        ROUNDS=triton.cdiv(blocks, programs), BLOCK=BLOCK,
    )  # fmt: skip
    share_kernel[(1,)](sums, share, programs, u.numel(), BLOCK=triton.next_power_of_2(programs))


def share_inside_triton(u: Tensor, layer: Moments, gamma: float) -> Tensor:
    """The same in a tensor of its own, 0-d."""
    share = u.new_empty(())
    write_share_inside(u, layer, gamma, share)
    return share
