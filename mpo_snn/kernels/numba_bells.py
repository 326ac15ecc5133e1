"""The surrogate, for the compiled loops: at membranes, its peak, and half its support."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mpo_snn.kernels.numba_memory import ONE, ZERO, exact, within
from mpo_snn.kernels.numba_rows import PEAK, SLOPE, SUPPORT, fill, fill_gains
from mpo_snn.kernels.numba_vectors import choose, fma, magnitude, smaller, splat, times_two_to
from mpo_snn.surrogate import TANH_REACH, support_factor

SHAPES = {"sigmoid": 0, "arctan": 1, "piecewise_linear": 2, "triangle": 3, "tanh": 4}
HALF, PI = np.float32(0.5), np.float32(math.pi)
TWO, FOUR = np.float32(2.0), np.float32(4.0)
REACH = np.float32(TANH_REACH)
SUPPORTS = np.array([support_factor(shape) for shape in SHAPES], np.float32)
"""Half the support times the slope, by code."""
LOG2_E = np.float32(math.log2(math.e))
FURTHEST = np.float32(86.0)
"""Where the tail of the surrogate ends, 2^-86: beyond, subnormal numbers would slow it down."""
ROUND = np.float32(1.5 * 2.0**23)
"""Added and taken away again it leaves the nearest whole number."""


def _polynomial(function: Any, low: float, high: float, degree: int) -> tuple[np.float32, ...]:
    """Coefficients of what interpolates a function at Chebyshev's points between two numbers."""
    found = np.polynomial.Chebyshev.interpolate(function, degree, (low, high))
    return tuple(np.float32(c) for c in found.convert(kind=np.polynomial.Polynomial).coef)


C0, C1, C2, C3, C4, C5 = _polynomial(np.exp2, -0.5, 0.5, 5)
"""Of 2^f, 1.1e-7 from it at most."""


@within
def _two_to_minus(y: Any) -> Any:
    """2^-y of 0 <= y < 126, good to 3e-7 of the value."""
    shifted = ROUND - y
    f = (ROUND - shifted) - y
    p = fma(f, splat(C5), splat(C4))
    p = fma(f, p, splat(C3))
    p = fma(f, p, splat(C2))
    p = fma(f, p, splat(C1))
    p = fma(f, p, splat(C0))
    return times_two_to(p, shifted)


@within
def _logistic(exponent: Any, height: Any) -> Any:
    """With e = 2^-|exponent|: height times 4 e / (1 + e)^2."""
    tail = _two_to_minus(smaller(magnitude(exponent), splat(FURTHEST)))
    more = tail + ONE
    return (height * FOUR * tail) / (more * more)


@within
def bell(v: Any, threshold: Any, slope: Any, height: Any, shape: Any) -> Any:
    """The surrogate at membranes v."""
    x = v - threshold
    if shape == 0:
        return _logistic(x * (slope * LOG2_E), height)
    if shape == 1:
        z = x * slope
        return height / fma(z, z, splat(ONE))
    if shape == 2:
        return choose(magnitude(x * slope) <= ONE, height, splat(ZERO))
    if shape == 3:
        rest = ONE - magnitude(x * slope)
        return height * choose(rest > ZERO, rest, splat(ZERO))
    value = _logistic(x * (slope * TWO * LOG2_E), height)
    return choose(magnitude(x) <= REACH, value, splat(ZERO))


@exact
def fill_all(w: Any, table: Any, place: Any, width: Any, decay: Any, shape: Any, of: Any) -> None:
    """Rows of parameters and of what follows from them.

    Args:
        w: the rows.
        table: as `fill` takes it, like place and width.
        place: likewise.
        width: likewise.
        decay: whether the current is multiplied by 1 - beta.
        shape: code of the surrogate's.
        of: whether supports, and whether peaks, are wanted.
    """
    fill(w, table, place, width)
    fill_gains(w, width, decay)
    if of[0]:
        _fill_supports(w, width, shape)
    if of[1]:
        _fill_peaks(w, width, shape)


@exact
def _fill_peaks(w: Any, width: Any, shape: Any) -> None:
    """The row PEAK, the surrogate at the threshold, from SLOPE."""
    for n in range(width):
        slope = w[SLOPE + n]
        if shape == 0:
            peak = HALF * HALF * slope
        elif shape == 1:
            peak = slope / PI
        elif shape == 2:
            peak = HALF * slope
        elif shape == 3:
            peak = slope
        else:
            peak = REACH * slope / np.tanh(REACH * slope)
        w[PEAK + n] = peak


@exact
def _fill_supports(w: Any, width: Any, shape: Any) -> None:
    """The row SUPPORT, half the effective support in volt, from SLOPE."""
    for n in range(width):
        half = SUPPORTS[shape] * (ONE / w[SLOPE + n])
        w[SUPPORT + n] = min(half, REACH) if shape == 4 else half
