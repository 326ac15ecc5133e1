"""Statistics of U, compiled by numba: moments, and the share inside a band around the mean.

Every sum is taken in float64 in an order that depends on the sizes alone: first means, then squared
deviations from them, and of blocks pairwise (Chan et al. 1983). Never E[x^2] - E[x]^2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mpo_snn.kernels.numba_memory import ONE, ZERO, copy, exact, quick, values_at, within
from mpo_snn.kernels.numba_rows import BLOCK, FLOAT, POWER, fill, varies
from mpo_snn.moments import VARIANCE_FLOOR

PARTS = 6
"""Of a block: neurons, mean and squared deviations of U, and sums of the shares (3)."""
LEAST = np.float32(VARIANCE_FLOOR)
TOGETHER = 64
"""Groups whose moments are summed up at once, where their values lie side by side."""


@quick
def sum_of(values: Any, width: Any) -> Any:
    """Sum in float64."""
    total = 0.0
    for n in range(width):
        total += values[n]
    return total


@quick
def sum_of_squares_around(mean: Any, values: Any, width: Any) -> Any:
    """Sum of squared deviations in float64."""
    total = 0.0
    for n in range(width):
        deviation = values[n] - mean
        total += deviation * deviation
    return total


@exact
def sum_up(part: Any, u_at: Any, w_at: Any, width: Any, power: Any) -> None:
    """What `PARTS` says of the moments of U and of the surrogate."""
    u = values_at(u_at, 0, width, FLOAT)
    mean = sum_of(u, width) / width
    part[0] = width
    part[1] = mean
    part[2] = sum_of_squares_around(mean, u, width)
    part[5] = sum_of(values_at(w_at, POWER, width, FLOAT), width) if power != 0 else 0.0


@exact
def merge(parts: Any, values: Any, moments: Any, shares: Any) -> None:
    """All blocks together.

    Args:
        parts: of each block, as `PARTS` says.
        values: of which the shares are.
        moments: address of a mean and one of squared deviations, which are written; or 0.
        shares: address of three.
    """
    count, mean, m2 = 0.0, 0.0, 0.0
    covered, fired, power = 0.0, 0.0, 0.0
    for b in range(len(parts)):
        total = count + parts[b, 0]
        delta = parts[b, 1] - mean
        mean += delta * (parts[b, 0] / total)
        m2 += parts[b, 2] + delta * delta * (count * parts[b, 0] / total)
        count = total
        covered += parts[b, 3]
        fired += parts[b, 4]
        power += parts[b, 5]
    if moments[0] != 0:
        values_at(moments[0], 0, 1, FLOAT)[0] = mean
        values_at(moments[1], 0, 1, FLOAT)[0] = m2
    written = values_at(shares, 0, 3, FLOAT)
    written[0], written[1], written[2] = covered / values, fired / values, power / values


@exact
def moments_of_groups(u_at: Any, neurons: Any, d: Any, m: Any, moments: Any) -> None:
    """Mean and squared deviations of each of m groups; that of place i is i // d % m.

    Args:
        u_at: address of U.
        neurons: how many values it has.
        d: values of a group that lie together.
        m: groups.
        moments: address of m means and one of m squared deviations, which are written.
    """
    if d == 1:
        for first in range(0, m, TOGETHER):
            _moments_of_some(u_at, neurons, m, first, min(TOGETHER, m - first), moments)
        return
    mean, m2 = np.zeros(m), np.zeros(m)
    for start in range(0, neurons, d):
        mean[start // d % m] += sum_of(values_at(u_at, start, d, FLOAT), d)
    for k in range(m):
        mean[k] /= neurons // m
    for start in range(0, neurons, d):
        k = start // d % m
        m2[k] += sum_of_squares_around(mean[k], values_at(u_at, start, d, FLOAT), d)
    copy(mean, values_at(moments[0], 0, m, FLOAT), m)
    copy(m2, values_at(moments[1], 0, m, FLOAT), m)


@within
def _add(row: Any, sums: Any, size: Any) -> None:
    for k in range(size):
        sums[k] += row[k]


@within
def _add_squares_around(mean: Any, row: Any, sums: Any, size: Any) -> None:
    for k in range(size):
        deviation = row[k] - mean[k]
        sums[k] += deviation * deviation


@exact
def _moments_of_some(u_at: Any, neurons: Any, m: Any, first: Any, size: Any, moments: Any) -> None:
    """Those of the groups `first` and `size` of them, which lie side by side in every row of m.

    Few enough for their sums to stay near, and for both passes to read them from the first cache.
    """
    mean, m2 = np.zeros(TOGETHER), np.zeros(TOGETHER)
    for start in range(first, neurons, m):
        _add(values_at(u_at, start, size, FLOAT), mean, size)
    for k in range(size):
        mean[k] /= neurons // m
    for start in range(first, neurons, m):
        _add_squares_around(mean, values_at(u_at, start, size, FLOAT), m2, size)
    copy(mean, values_at(moments[0], first, size, FLOAT), size)
    copy(m2, values_at(moments[1], first, size, FLOAT), size)


@exact
def _half_band(mean: Any, m2: Any, count: Any, gamma: Any) -> None:
    """Put gamma sigmas in the place of squared deviations; as `Moments.sigma`, in float32."""
    for n in range(len(m2)):
        variance = m2[n] / count
        sigma = np.sqrt(max(variance, LEAST)) if variance > ZERO else ZERO
        m2[n] = gamma * sigma


@quick
def _inside(u: Any, mean: Any, band: Any) -> Any:
    """How many of a few values lie in their bands."""
    inside = ZERO
    for n in range(len(u)):
        inside += ONE if abs(u[n] - mean[n]) <= band[n] else ZERO
    return inside


@exact
def count_inside(
    u_at: Any, neurons: Any, first: Any, last: Any, table: Any, count: Any, gamma: Any
) -> int:
    """How many values of the blocks `first` to `last` lie within gamma sigmas of the mean.

    Args:
        u_at: address of U.
        neurons: how many values it has.
        first: block.
        last: block, which is not done any more.
        table: (address, d, m) of the mean and of the squared deviations.
        count: values that these are of.
        gamma: half-band, in sigmas.
    """
    w = np.empty(2 * BLOCK, np.float32)
    inside = 0
    for b in range(first, last):
        width = min(BLOCK, neurons - b * BLOCK)
        if b == first or varies(table):
            fill(w, table, b * BLOCK, BLOCK)
            _half_band(w[:BLOCK], w[BLOCK:], np.float32(count), np.float32(gamma))
        u = values_at(u_at, b * BLOCK, width, FLOAT)
        inside += int(_inside(u, w[:width], w[BLOCK : BLOCK + width]))
    return inside
