"""The loops of the LIF scan that numba compiles; `numba_lif` calls them and says what they compute.

A block of neurons runs through all timesteps before the next one starts, so that what a neuron has
(state, leak, threshold, sums) stays in the first-level cache: the rows of `w`, `BLOCK` values each.
Every inner loop goes over the neurons of a block and writes to one or two places, which is what
LLVM turns into vector instructions. Membranes round as in `lif_step`: no fused multiply-add, no
reordering; only the surrogate and the sums of statistics may contract and reorder.

A parameter at `address` has the value of the neuron at a place i of a timestep at i // d % m; an
array without values has the type in which currents, spikes and their gradients are stored: float32,
or the bits of bfloat16.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mpo_snn.kernels.numba_memory import (
    ONE,
    ZERO,
    copy,
    exact,
    prefetch,
    quick,
    read,
    set_to,
    values_at,
    write,
    write_spike,
)
from mpo_snn.surrogate import TANH_REACH

BLOCK = 512
RESETS = {("zero", "step"): 0, ("zero", "next"): 0, ("subtract", "step"): 1}
RESETS |= {("subtract", "next"): 2, ("none", "step"): 3, ("none", "next"): 3}
SHAPES = {"sigmoid": 0, "arctan": 1, "piecewise_linear": 2, "triangle": 3, "tanh": 4}
STATISTICS = {"none": 0, "mean": 1, "final": 2}
PARTS = 6
"""Of a block: neurons, mean and squared deviations of U, and sums of the shares (3)."""

# Rows of w: nine that are filled from parameters, in this order, and what is worked with.
BETA, GAIN, THRESHOLD, SLOPE, HEIGHT, SUPPORT, BY_MEAN, BY_M2, MEAN = (BLOCK * i for i in range(9))
STATE, TOTAL, GRAD, FROM_U, BY_BETA, BY_THRESHOLD, POWER, BELL = (BLOCK * i for i in range(9, 17))
ROWS = 17

HALF, TWO, FOUR = np.float32(0.5), np.float32(2.0), np.float32(4.0)
REACH = np.float32(TANH_REACH)
PER_PI = np.float32(1.0 / math.pi)
LOG2_E = np.float32(math.log2(math.e))
FURTHEST = np.float32(60.0)
"""Where the tail of the surrogate ends, e^-60: beyond, subnormal numbers would slow it down."""
EXP2 = tuple(np.float32(math.log(2.0) ** k / math.factorial(k)) for k in range(7))
C0, C1, C2, C3, C4, C5, C6 = EXP2
MANTISSA_BITS, EXPONENT_BIAS = np.int32(23), np.int32(127)


@exact
def fill(w: Any, table: Any, place: Any, width: Any) -> None:
    """Rows of parameters, one of each (address, d, m) of a table, for neurons from a place on."""
    for row in range(len(table)):
        address, d, m = table[row, 0], table[row, 1], table[row, 2]
        values = values_at(address, 0, m, w)
        index, left, n = place // d % m, d - place % d, 0
        while n < width:
            length = min(m - index if d == 1 else left, width - n)
            target = values_at(w.ctypes.data, row * BLOCK + n, length, w)
            if d == 1:
                copy(values_at(address, index, length, w), target, length)
                index = 0
            else:
                set_to(target, values[index], length)
                index = index + 1 if index + 1 < m else 0
            left, n = d, n + length


@exact
def _varies(table: Any) -> bool:
    """Whether any parameter is not the same for all neurons."""
    largest = 1
    for row in range(len(table)):
        largest = max(largest, table[row, 2])
    return largest > 1


@exact
def _advance(x: Any, v: Any, w: Any, reset: Any, width: Any) -> None:
    """Membranes of one timestep, and the state to carry."""
    if reset == 0:
        for n in range(width):
            value = w[BETA + n] * w[STATE + n] + w[GAIN + n] * read(x, n)
            fired = ONE if value > w[THRESHOLD + n] else ZERO
            v[n] = value
            w[STATE + n] = (ONE - fired) * value
    elif reset == 1:
        for n in range(width):
            value = w[BETA + n] * w[STATE + n] + w[GAIN + n] * read(x, n)
            fired = ONE if value > w[THRESHOLD + n] else ZERO
            v[n] = value
            w[STATE + n] = value - fired * w[THRESHOLD + n]
    elif reset == 2:
        for n in range(width):
            fired = ONE if w[STATE + n] > w[THRESHOLD + n] else ZERO
            value = w[BETA + n] * w[STATE + n] + w[GAIN + n] * read(x, n)
            value = value - fired * w[THRESHOLD + n]
            v[n] = value
            w[STATE + n] = value
    else:
        for n in range(width):
            value = w[BETA + n] * w[STATE + n] + w[GAIN + n] * read(x, n)
            v[n] = value
            w[STATE + n] = value


@quick
def _exp_of_minus(a: Any) -> Any:
    """e^-a of a >= 0: 2^k times a polynomial on [-1/2, 1/2], good to 3e-7 of the value."""
    y = -LOG2_E * (FURTHEST if a > FURTHEST else a)
    k = np.int32(y - HALF)
    f = y - np.float32(k)
    p = C0 + f * (C1 + f * (C2 + f * (C3 + f * (C4 + f * (C5 + f * C6)))))
    power = np.int32(np.int32(k + EXPONENT_BIAS) << MANTISSA_BITS)
    return p * np.int32(power).view(np.float32)


@quick
def _bells(v: Any, w: Any, shape: Any, width: Any) -> None:
    """The surrogate at v, HEIGHT times a bell of peak 1."""
    if shape == 0:
        for n in range(width):
            tail = _exp_of_minus(abs((v[n] - w[THRESHOLD + n]) * w[SLOPE + n]))
            w[BELL + n] = w[HEIGHT + n] * (FOUR * tail / ((ONE + tail) * (ONE + tail)))
    elif shape == 1:
        for n in range(width):
            z = (v[n] - w[THRESHOLD + n]) * w[SLOPE + n]
            w[BELL + n] = w[HEIGHT + n] / (ONE + z * z)
    elif shape == 2:
        for n in range(width):
            z = abs((v[n] - w[THRESHOLD + n]) * w[SLOPE + n])
            w[BELL + n] = w[HEIGHT + n] if z <= ONE else ZERO
    elif shape == 3:
        for n in range(width):
            rest = ONE - abs((v[n] - w[THRESHOLD + n]) * w[SLOPE + n])
            w[BELL + n] = w[HEIGHT + n] * (rest if rest > ZERO else ZERO)
    else:
        for n in range(width):
            x = abs(v[n] - w[THRESHOLD + n])
            tail = _exp_of_minus(TWO * x * w[SLOPE + n])
            bell = FOUR * tail / ((ONE + tail) * (ONE + tail))
            w[BELL + n] = w[HEIGHT + n] * (bell if x <= REACH else ZERO)


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


@quick
def _observe(v: Any, w: Any, width: Any) -> Any:
    """Add to U; how many membranes lie inside the surrogate's support, and above threshold."""
    covered, fired = ZERO, ZERO  # whole numbers below 2^24, exact in any order
    for n in range(width):
        w[TOTAL + n] += v[n]
        covered += ONE if abs(v[n] - w[THRESHOLD + n]) < w[SUPPORT + n] else ZERO
        fired += ONE if v[n] > w[THRESHOLD + n] else ZERO
    return covered, fired


@exact
def _fire(spk: Any, v: Any, w: Any, width: Any) -> None:
    for n in range(width):
        write_spike(spk, n, v[n] > w[THRESHOLD + n])


@exact
def _add(v: Any, w: Any, width: Any) -> None:
    for n in range(width):
        w[TOTAL + n] += v[n]


@exact
def _add_square(w: Any, width: Any) -> None:
    for n in range(width):
        w[POWER + n] += w[BELL + n] * w[BELL + n]


@exact
def _divide(u: Any, w: Any, steps: Any, width: Any) -> None:
    for n in range(width):
        u[n] = w[TOTAL + n] / steps


@exact
def forward(
    tensors: Any, kind: Any, times: Any, first: Any, last: Any, table: Any, how: Any, parts: Any
) -> None:
    """Spikes of the blocks `first` to `last`; membranes and statistics where they are wanted.

    Args:
        tensors: addresses of current, spikes, membranes and U; 0 for none of the last two.
        kind: the type of current and spikes.
        times: timesteps, neurons of a run, of a block; from one timestep to the next and from one
            run to the next in the current, and in what is written.
        first: block.
        last: block, which is not done any more.
        table: (address, d, m) of the parameters BETA to SUPPORT.
        how: codes of reset, shape of the surrogate and statistic; whether its square is wanted.
        parts: takes what `PARTS` says of each block.
    """
    x_at, spk_at, v_at, u_at = tensors
    steps, run, block, x_step, x_run, step, stride = times
    reset, shape, statistic, power = how
    w = np.zeros(ROWS * BLOCK, np.float32)
    v = np.zeros(BLOCK, np.float32)
    work = w.ctypes.data
    in_run = (run + block - 1) // block
    varies = _varies(table)
    for b in range(first, last):
        r, start = b // in_run, b % in_run * block
        width = min(block, run - start)
        place = r * run + start
        if b == first or varies:
            fill(w, table, place, width if varies else block)
        set_to(values_at(work, STATE, 2 * BLOCK, w), ZERO, 2 * BLOCK)
        if power != 0:
            set_to(values_at(work, POWER, width, w), ZERO, width)
        covered, fired = 0.0, 0.0
        for t in range(steps):
            _advance(
                values_at(x_at, r * x_run + start + t * x_step, width, kind), v, w, reset, width
            )
            at = r * stride + start + t * step
            prefetch(x_at, r * x_run + start + t * x_step + block, block, kind)
            prefetch(spk_at, at + block, block, kind)
            spk = values_at(spk_at, at, width, kind)
            _fire(spk, v, w, width)
            if v_at != 0:
                copy(v, values_at(v_at, at, width, v), width)
            if statistic != 0:
                a, c = _observe(v, w, width)
                covered += a
                fired += c
                if power != 0:
                    _bells(v, w, shape, width)
                    _add_square(w, width)
        if statistic != 0:
            u = values_at(u_at, place, width, w)
            if statistic == 1:
                _divide(u, w, np.float32(steps), width)
            else:
                copy(v, u, width)
            mean = sum_of(u, width) / width
            parts[b, 0] = width
            parts[b, 1] = mean
            parts[b, 2] = sum_of_squares_around(mean, u, width)
            parts[b, 3] = covered
            parts[b, 4] = fired
            parts[b, 5] = sum_of(values_at(work, POWER, width, w), width)


@exact
def _by_beta(v: Any, w: Any, reset: Any, width: Any) -> None:
    """Add the gradient by beta that the next timestep sends: times the state handed on to it."""
    for n in range(width):
        fired = v[n] > w[THRESHOLD + n]
        state = v[n]
        if fired and reset == 0:
            state = ZERO
        if fired and reset == 1:
            state = v[n] - w[THRESHOLD + n]
        w[BY_BETA + n] += w[GRAD + n] * state


@exact
def _by_threshold(v: Any, from_spikes: Any, w: Any, reset: Any, width: Any) -> None:
    """Subtract the gradients by the threshold that spikes and resets send."""
    for n in range(width):
        through = ZERO
        if reset == 1:
            through = w[GRAD + n] * w[BETA + n]
        if reset == 2:
            through = w[GRAD + n]
        kept = through if v[n] > w[THRESHOLD + n] else ZERO
        w[BY_THRESHOLD + n] -= read(from_spikes, n) * w[BELL + n] + kept


@exact
def _from_statistics(w: Any, part: Any, share: Any, width: Any) -> None:
    """The gradient that every membrane gets from mean and squared deviations of U."""
    for n in range(width):
        deviation = w[TOTAL + n] / share - w[MEAN + n]
        w[FROM_U + n] = (part * w[BY_MEAN + n] + TWO * w[BY_M2 + n] * deviation) / share


@exact
def _pull(v: Any, from_spikes: Any, w: Any, reset: Any, width: Any) -> None:
    """The gradient by the membranes of a timestep, from that of the next one."""
    if reset == 0:
        for n in range(width):
            later = ZERO if v[n] > w[THRESHOLD + n] else w[BETA + n] * w[GRAD + n]
            w[GRAD + n] = read(from_spikes, n) * w[BELL + n] + (later + w[FROM_U + n])
    else:
        for n in range(width):
            later = w[BETA + n] * w[GRAD + n]
            w[GRAD + n] = read(from_spikes, n) * w[BELL + n] + (later + w[FROM_U + n])


@exact
def _pull_membrane(from_v: Any, w: Any, width: Any) -> None:
    for n in range(width):
        w[GRAD + n] += from_v[n]


@exact
def _by_gain(x: Any, w: Any, width: Any) -> None:
    for n in range(width):
        w[BY_BETA + n] -= w[GRAD + n] * read(x, n)


@exact
def _add_sent(w: Any, width: Any) -> None:
    for n in range(width):
        w[TOTAL + n] += w[GAIN + n] * w[GRAD + n]


@exact
def _send(dx: Any, w: Any, width: Any) -> None:
    for n in range(width):
        write(dx, n, w[GAIN + n] * w[GRAD + n])


@exact
def _send_total(dx: Any, w: Any, steps: Any, width: Any) -> None:
    for n in range(width):
        write(dx, n, w[TOTAL + n] / steps)


@exact
def backward(
    tensors: Any,
    kind: Any,
    times: Any,
    first: Any,
    last: Any,
    table: Any,
    how: Any,
    spikes: Any,
    count: Any,
) -> None:
    """Gradients of the blocks `first` to `last`; the membranes are computed anew.

    Args:
        tensors: addresses of the current, the gradients by spikes and membranes (0 for none), and
            the gradients by current, beta and threshold that are written (0 for none).
        kind: the type of the current and of gradients by spikes and current.
        times: as in `forward`.
        first: as in `forward`.
        last: as in `forward`.
        table: (address, d, m) of the parameters BETA to MEAN.
        how: codes of reset, shape and statistic; whether the current is multiplied by 1 - beta,
            and whether it is constant in time.
        spikes: from one timestep to the next, and from one run to the next, in the gradient by
            spikes.
        count: neurons that a mean of U is of.
    """
    x_at, spk_at, v_at, dx_at, by_beta_at, by_threshold_at = tensors
    steps, run, block, x_step, x_run, step, stride = times
    reset, shape, statistic, decay, constant = how
    w = np.zeros(ROWS * BLOCK, np.float32)
    history = np.zeros(steps * BLOCK, np.float32)
    silent = np.zeros(BLOCK, kind.dtype)
    past, work = history.ctypes.data, w.ctypes.data
    in_run = (run + block - 1) // block
    varies = _varies(table)
    for b in range(first, last):
        r, start = b // in_run, b % in_run * block
        width = min(block, run - start)
        place = r * run + start
        if b == first or varies:
            fill(w, table, place, width if varies else block)
        cleared = 4 * BLOCK if by_beta_at == 0 and by_threshold_at == 0 else 6 * BLOCK
        set_to(values_at(work, STATE, cleared, w), ZERO, cleared)
        for t in range(steps):
            v = values_at(past, t * BLOCK, width, w)
            x = values_at(x_at, r * x_run + start + t * x_step, width, kind)
            _advance(x, v, w, reset, width)
            prefetch(x_at, r * x_run + start + t * x_step + block, block, kind)
            if statistic == 1:
                _add(v, w, width)
        share = ONE
        if statistic == 1:
            share = np.float32(steps)
        elif statistic == 2:
            copy(v, values_at(work, TOTAL, width, w), width)
        if statistic != 0:
            _from_statistics(w, np.float32(1.0 / count), share, width)
        set_to(values_at(work, TOTAL, width, w), ZERO, width)
        for t in range(steps - 1, -1, -1):
            v = values_at(past, t * BLOCK, width, w)
            from_spikes = silent
            if spk_at != 0:
                place_of = r * spikes[1] + start + t * spikes[0]
                from_spikes = values_at(spk_at, place_of, width, kind)
                prefetch(spk_at, place_of + block, block, kind)
                _bells(v, w, shape, width)
            if by_beta_at != 0 and t < steps - 1:
                _by_beta(v, w, reset, width)
            if by_threshold_at != 0:
                _by_threshold(v, from_spikes, w, reset, width)
            _pull(v, from_spikes, w, reset, width)
            if statistic == 2:
                set_to(values_at(work, FROM_U, width, w), ZERO, width)
            at = r * stride + start + t * step
            if v_at != 0:
                _pull_membrane(values_at(v_at, at, width, w), w, width)
            if by_beta_at != 0 and decay != 0:
                x = values_at(x_at, r * x_run + start + t * x_step, width, kind)
                _by_gain(x, w, width)
            if dx_at != 0 and constant != 0:
                _add_sent(w, width)
            elif dx_at != 0:
                _send(values_at(dx_at, at, width, kind), w, width)
                prefetch(dx_at, at + block, block, kind)
        if dx_at != 0 and constant != 0:
            _send_total(values_at(dx_at, place, width, kind), w, np.float32(steps), width)
        if by_beta_at != 0:
            copy(values_at(work, BY_BETA, width, w), values_at(by_beta_at, place, width, w), width)
        if by_threshold_at != 0:
            copy(
                values_at(work, BY_THRESHOLD, width, w),
                values_at(by_threshold_at, place, width, w),
                width,
            )
