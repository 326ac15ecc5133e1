"""The surrogate, for the compiled loops: a bell of peak 1 times HEIGHT."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mpo_snn.kernels.numba_memory import ONE, ZERO, within
from mpo_snn.kernels.numba_vectors import choose, fma, magnitude, splat, times_two_to, whole
from mpo_snn.surrogate import TANH_REACH

SHAPES = {"sigmoid": 0, "arctan": 1, "piecewise_linear": 2, "triangle": 3, "tanh": 4}
TWO, FOUR = np.float32(2.0), np.float32(4.0)
REACH = np.float32(TANH_REACH)
MINUS_LOG2_E = np.float32(-math.log2(math.e))
FURTHEST = np.float32(60.0)
"""Where the tail of the surrogate ends, e^-60: beyond, subnormal numbers would slow it down."""
EXP2 = tuple(np.float32(math.log(2.0) ** k / math.factorial(k)) for k in range(7))
C0, C1, C2, C3, C4, C5, C6 = EXP2


@within
def _exp_of_minus(a: Any) -> Any:
    """e^-a of a >= 0: 2^k times a polynomial on [-1/2, 1/2], good to 3e-7 of the value."""
    y = choose(a > FURTHEST, splat(FURTHEST), a) * MINUS_LOG2_E
    k = whole(y)
    f = y - k
    p = fma(f, splat(C6), splat(C5))
    p = fma(f, p, splat(C4))
    p = fma(f, p, splat(C3))
    p = fma(f, p, splat(C2))
    p = fma(f, p, splat(C1))
    p = fma(f, p, splat(C0))
    return times_two_to(p, k)


@within
def _logistic(tail: Any, height: Any) -> Any:
    more = tail + ONE
    return (height * FOUR * tail) / (more * more)


@within
def bell(v: Any, threshold: Any, slope: Any, height: Any, shape: Any) -> Any:
    """The surrogate at membranes v."""
    x = v - threshold
    if shape == 0:
        return _logistic(_exp_of_minus(magnitude(x * slope)), height)
    if shape == 1:
        z = x * slope
        return height / fma(z, z, splat(ONE))
    if shape == 2:
        return choose(magnitude(x * slope) <= ONE, height, splat(ZERO))
    if shape == 3:
        rest = ONE - magnitude(x * slope)
        return height * choose(rest > ZERO, rest, splat(ZERO))
    far = magnitude(x)
    value = _logistic(_exp_of_minus(far * slope * TWO), height)
    return choose(far <= REACH, value, splat(ZERO))
