"""Statistics of U, compiled by numba: moments, and the share inside a band around the mean.

Every sum is taken in float64 in an order that depends on the sizes alone: first means, then squared
deviations from them, and of blocks pairwise (Chan et al. 1983). Never E[x^2] - E[x]^2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mpo_snn.kernels.numba_forward import sum_of, sum_of_squares_around
from mpo_snn.kernels.numba_memory import exact, values_at
from mpo_snn.kernels.numba_rows import BLOCK, fill

FLOAT = np.empty(0, np.float32)


@exact
def merge(parts: Any) -> Any:
    """All blocks together: mean, squared deviations and the sums of the shares (3)."""
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
    return mean, m2, covered, fired, power


@exact
def moments_of_groups(u_at: Any, neurons: Any, d: Any, m: Any, found: Any) -> None:
    """Mean and squared deviations of each of m groups; that of place i is i // d % m.

    Args:
        u_at: address of U.
        neurons: how many values it has.
        d: values of a group that lie together.
        m: groups.
        found: float64, (2, m), zeros; takes them.
    """
    u = values_at(u_at, 0, neurons, FLOAT)
    mean, m2 = found[0], found[1]
    if d == 1:
        for start in range(0, neurons, m):
            for k in range(m):
                mean[k] += u[start + k]
        for k in range(m):
            mean[k] /= neurons // m
        for start in range(0, neurons, m):
            for k in range(m):
                deviation = u[start + k] - mean[k]
                m2[k] += deviation * deviation
    else:
        for start in range(0, neurons, d):
            mean[start // d % m] += sum_of(values_at(u_at, start, d, FLOAT), d)
        for k in range(m):
            mean[k] /= neurons // m
        for start in range(0, neurons, d):
            k = start // d % m
            m2[k] += sum_of_squares_around(mean[k], values_at(u_at, start, d, FLOAT), d)


@exact
def count_inside(u_at: Any, neurons: Any, first: Any, last: Any, table: Any) -> int:
    """How many values of the blocks `first` to `last` lie within a band around a mean.

    Args:
        u_at: address of U.
        neurons: how many values it has.
        first: block.
        last: block, which is not done any more.
        table: (address, d, m) of the mean and of half the band.
    """
    w = np.zeros(2 * BLOCK, np.float32)
    inside = 0
    for b in range(first, last):
        width = min(BLOCK, neurons - b * BLOCK)
        fill(w, table, b * BLOCK, width)
        u = values_at(u_at, b * BLOCK, width, w)
        for n in range(width):
            inside += abs(u[n] - w[n]) <= w[BLOCK + n]
    return inside
