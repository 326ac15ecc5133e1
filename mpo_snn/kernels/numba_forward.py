"""The forward loops of the LIF scan that numba compiles; `numba_scan` says what they compute.

A vector of neurons runs through all timesteps in registers before the next one starts. Membranes
round as in `lif_step`: no fused multiply-add, no reordering; only the surrogate and the sums of
statistics may contract and reorder.

An array without values has the type in which currents, spikes and their gradients are stored:
float32, or the bits of bfloat16.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mpo_snn.kernels.numba_bells import bell, fill_all
from mpo_snn.kernels.numba_memory import (
    ONE,
    ZERO,
    copy,
    exact,
    values_at,
    within,
)
from mpo_snn.kernels.numba_rows import (
    BETA,
    BLOCK,
    FLOAT,
    GAIN,
    PEAK,
    POWER,
    ROWS,
    SLOPE,
    SUPPORT,
    THRESHOLD,
    VALUE,
    at,
    varies,
)
from mpo_snn.kernels.numba_statistics import sum_up
from mpo_snn.kernels.numba_vectors import (
    LANES,
    ask_for,
    choose,
    finish_streams,
    how_many,
    load,
    magnitude,
    splat,
    store,
    stream,
)

RESETS = {("zero", "step"): 0, ("zero", "next"): 0, ("subtract", "step"): 1}
RESETS |= {("subtract", "next"): 2, ("none", "step"): 3, ("none", "next"): 3}
STATISTICS = {"none": 0, "mean": 1, "final": 2}
AHEAD = 2048
"""Bytes from what is read to what is asked for."""


@within
def advance(x: Any, state: Any, beta: Any, gain: Any, threshold: Any, reset: Any) -> Any:
    """The membrane of a timestep from the state before it."""
    v = beta * state + gain * x
    if reset == 2:
        v = v - choose(state > threshold, threshold, splat(ZERO))
    return v


@within
def carried(v: Any, threshold: Any, reset: Any) -> Any:
    """The state that a membrane leaves to the next timestep."""
    if reset == 0:
        return choose(v > threshold, splat(ZERO), splat(ONE)) * v
    if reset == 1:
        return v - choose(v > threshold, threshold, splat(ZERO))
    return v


@within
def _run(places: Any, kind: Any, n: Any, width: Any, w: Any, how: Any, reset: Any) -> Any:
    """The neurons n to width of a block, a vector of them at a time, through all timesteps.

    How many membranes lay inside the support, and spikes, among the neurons of a vector that count.
    """
    x_at, spk_at, v_at, u_at, x_step, step, v_step, ahead, steps, among = places
    shape, statistic, power, past_caches = how
    size, w_at = kind.itemsize, w[0]
    covered, fired = 0, 0
    while n < width:
        beta, gain, threshold = at(w, BETA, n), at(w, GAIN, n), at(w, THRESHOLD, n)
        support = at(w, SUPPORT, n)
        state, total, square = splat(ZERO), splat(ZERO), splat(ZERO)
        x_from, to, v_to = x_at + n * size, spk_at + n * size, v_at + n * VALUE
        for _ in range(steps):
            ask_for(x_from + ahead, kind)
            v = advance(load(x_from, kind), state, beta, gain, threshold, reset)
            spike = choose(v > threshold, splat(ONE), splat(ZERO))
            if past_caches:
                stream(to, spike)
            else:
                store(to, spike, kind)
            if v_at != 0:
                store(v_to, v, FLOAT)
            state = carried(v, threshold, reset)
            if statistic == 1:
                total = total + v
            if statistic != 0:
                covered += how_many(support > magnitude(v - threshold), among)
                fired += how_many(v > threshold, among)
            if power != 0:
                value = bell(v, threshold, at(w, SLOPE, n), at(w, PEAK, n), shape)
                square = square + value * value
            if statistic == 2:
                total = v
            x_from += x_step
            to += step
            v_to += v_step
        if statistic != 0:
            if statistic == 1:
                total = total / np.float32(steps)
            store(u_at + n * VALUE, total, FLOAT)
            if power != 0:
                store(w_at + (POWER + n) * VALUE, square, FLOAT)
        n += LANES
    return covered, fired


@exact
def _run_of(places: Any, kind: Any, n: Any, width: Any, w: Any, how: Any) -> Any:
    reset, shape, statistic, power, past = how
    rest = (shape, statistic, power, past != 0)
    if reset == 0:
        return _run(places, kind, n, width, w, rest, 0)
    if reset == 1:
        return _run(places, kind, n, width, w, rest, 1)
    if reset == 2:
        return _run(places, kind, n, width, w, rest, 2)
    return _run(places, kind, n, width, w, rest, 3)


@exact
def _tail(places: Any, kind: Any, whole: Any, width: Any, scratch: Any, w: Any, how: Any) -> Any:
    """The last neurons of a block, fewer than a vector holds, in memory of their own; as `_run`."""
    x_at, spk_at, v_at, u_at, x_step, step, v_step, _, steps, _ = places
    xs, spikes, vs, u = scratch
    size, left = kind.itemsize, width - whole
    for t in range(steps):
        source = values_at(x_at + t * x_step, whole, left, kind)
        copy(source, values_at(xs.ctypes.data, t * LANES, left, kind), left)
    own_v = 0 if v_at == 0 else vs.ctypes.data - whole * VALUE
    start = whole * size
    own_u = u.ctypes.data - whole * VALUE
    own = (xs.ctypes.data - start, spikes.ctypes.data - start, own_v, own_u)
    steps_of_own = (LANES * size, LANES * size, LANES * VALUE, 0, steps, (1 << left) - 1)
    reset, shape, statistic, power, _ = how
    how = (reset, shape, statistic, power, 0)
    counted = _run_of((*own, *steps_of_own), kind, whole, width, w, how)
    for t in range(steps):
        found = values_at(spikes.ctypes.data, t * LANES, left, kind)
        copy(found, values_at(spk_at + t * step, whole, left, kind), left)
        if v_at != 0:
            found_v = values_at(vs.ctypes.data, t * LANES, left, FLOAT)
            copy(found_v, values_at(v_at + t * v_step, whole, left, FLOAT), left)
    if statistic != 0:
        copy(u, values_at(u_at, whole, left, FLOAT), left)
    return counted


@exact
def forward(
    tensors: Any,
    kind: Any,
    times: Any,
    first: Any,
    last: Any,
    table: Any,
    how: Any,
    decay: Any,
    parts: Any,
) -> None:
    """Spikes of the blocks `first` to `last`; membranes and statistics where they are wanted.

    Args:
        tensors: addresses of current, spikes, membranes and U; 0 for none of the last two.
        kind: the type of current and spikes.
        times: timesteps, neurons of a run, of a block; from one timestep to the next and from one
            run to the next in the current, and in what is written.
        first: block.
        last: block, which is not done any more.
        table: (address, d, m) of the parameters BETA and THRESHOLD, and SLOPE for statistics.
        how: codes of reset, shape of the surrogate and statistic; whether its square is wanted,
            and whether spikes go past the caches (float32, each row on a line of its own).
        decay: whether the current is multiplied by 1 - beta.
        parts: takes what `numba_statistics.PARTS` says of each block.
    """
    x_at, spk_at, v_at, u_at = tensors
    steps, run, block, x_step, x_run, step, stride = times
    w = np.zeros(ROWS * BLOCK, np.float32)
    changes, derived = varies(table), (how[2] != 0, how[3] != 0)
    fill_all(w, table, 0, BLOCK, decay, how[1], derived)
    w_at, size = w.ctypes.data, kind.itemsize
    own = (w_at, int(changes))
    xs, spikes = np.zeros(steps * LANES, kind.dtype), np.zeros(steps * LANES, kind.dtype)
    vs, us = np.zeros(steps * LANES, np.float32), np.zeros(LANES, np.float32)
    scratch = (xs, spikes, vs, us)
    in_run = (run + block - 1) // block
    for b in range(first, last):
        r, start = b // in_run, b % in_run * block
        width = min(block, run - start)
        place = r * run + start
        if changes:
            fill_all(w, table, place, width, decay, how[1], derived)
        to = r * stride + start
        own_v, own_u = 0 if v_at == 0 else v_at + to * VALUE, u_at + place * VALUE
        at_once = (x_at + (r * x_run + start) * size, spk_at + to * size, own_v, own_u)
        by_step = (x_step * size, step * size, step * VALUE, AHEAD, steps, -1)
        places = (*at_once, *by_step)
        whole = width // LANES * LANES
        covered, fired = _run_of(places, kind, 0, whole, own, how)
        if whole < width:
            more_covered, more_fired = _tail(places, kind, whole, width, scratch, own, how)
            covered += more_covered
            fired += more_fired
        if how[2] != 0:
            parts[b, 3], parts[b, 4] = covered, fired
            sum_up(parts[b], own_u, w_at, width, how[3])
    if how[4] != 0:
        finish_streams()
