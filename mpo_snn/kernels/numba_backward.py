"""The backward loops of the LIF scan that numba compiles; see `numba_forward`.

Membranes of a vector of neurons are computed anew (`numba_history`); then the gradient goes back
through them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mpo_snn.kernels.numba_bells import TWO, bell, fill_all
from mpo_snn.kernels.numba_forward import AHEAD
from mpo_snn.kernels.numba_history import handed_on, history_of
from mpo_snn.kernels.numba_memory import (
    ONE,
    ZERO,
    copy,
    exact,
    keep,
    values_at,
    within,
)
from mpo_snn.kernels.numba_rows import (
    BETA,
    BLOCK,
    BY_BETA,
    BY_M2,
    BY_MEAN,
    BY_THRESHOLD,
    FLOAT,
    GAIN,
    LINE,
    MEAN,
    PEAK,
    ROWS,
    SCALE,
    SLOPE,
    THRESHOLD,
    VALUE,
    at,
    varies,
)
from mpo_snn.kernels.numba_vectors import (
    LANES,
    ask_for,
    choose,
    finish_streams,
    fma,
    load,
    splat,
    store,
    stream,
)


@within
def _run(places: Any, block: Any, n: Any, width: Any, how: Any, shape: Any) -> None:
    """The neurons n to width of a block, a vector of them at a time, back through all timesteps."""
    x_at, spk_at, v_at, dx_at, wants_beta, wants_threshold, x_step, spk_step, step, steps = places
    reset, statistic, decay, constant, past_caches = how
    kind, past, w, part = block
    size, w_at = kind.itemsize, w[0]
    while n < width:
        x_from = x_at + n * size
        total, v = history_of((x_from, x_step, steps), kind, past, n, w, reset)
        beta, gain, threshold = at(w, BETA, n), at(w, GAIN, n), at(w, THRESHOLD, n)
        slope, height = at(w, SLOPE, n), at(w, PEAK, n) * at(w, SCALE, n)
        from_u = splat(ZERO)
        if statistic != 0:
            share = ONE
            if statistic == 1:
                share = np.float32(steps)
            else:
                total = v
            deviation = total / share - at(w, MEAN, n)
            pulled = at(w, BY_MEAN, n) * part + at(w, BY_M2, n) * deviation * TWO
            from_u = pulled / share
        grad, sent = splat(ZERO), splat(ZERO)
        by_beta, by_threshold = splat(ZERO), splat(ZERO)
        for t in range(steps - 1, -1, -1):
            v = load(past + t * LANES * VALUE, FLOAT)
            later = beta * grad
            if wants_beta:
                by_beta = fma(grad, handed_on(v, threshold, reset), by_beta)
            if wants_threshold and (reset == 1 or reset == 2):
                by_reset = later if reset == 1 else grad
                by_threshold = by_threshold - choose(v > threshold, by_reset, splat(ZERO))
            if reset == 0:
                later = choose(v > threshold, splat(ZERO), later)
            grad = later + from_u
            if statistic == 2:
                from_u = splat(ZERO)
            if spk_at != 0:
                ds_from = spk_at + n * size + t * spk_step
                ask_for(ds_from + AHEAD, kind)
                pulled = load(ds_from, kind) * bell(v, threshold, slope, height, shape)
                grad = grad + pulled
                if wants_threshold:
                    by_threshold = by_threshold - pulled
            if v_at != 0:
                grad = grad + load(v_at + (n + t * step) * VALUE, FLOAT)
            if wants_beta and decay != 0:
                by_beta = by_beta - grad * load(x_from + t * x_step, kind)
            if dx_at != 0:
                if constant != 0:
                    sent = fma(gain, grad, sent)
                elif past_caches:
                    stream(dx_at + (n + t * step) * size, gain * grad)
                else:
                    store(dx_at + (n + t * step) * size, gain * grad, kind)
        if dx_at != 0 and constant != 0:
            store(dx_at + n * size, sent / np.float32(steps), kind)
        if wants_beta:
            store(w_at + (BY_BETA + n) * VALUE, by_beta, FLOAT)
        if wants_threshold:
            store(w_at + (BY_THRESHOLD + n) * VALUE, by_threshold, FLOAT)
        n += LANES


@exact
def _run_of(places: Any, block: Any, n: Any, width: Any, how: Any) -> None:
    reset, shape, statistic, decay, constant, past_caches = how
    rest = (reset, statistic, decay, constant, past_caches != 0)
    x_at, spk_at, v_at, dx_at, wants_beta, wants_threshold, x_step, spk_step, step, steps = places
    learns = wants_beta or wants_threshold or v_at != 0
    if shape == 0 and spk_at != 0 and dx_at != 0 and constant == 0 and not learns:
        # What most layers train with: loops of their own, with fewer questions in them.
        places = (x_at, spk_at, 0, dx_at, False, False, x_step, spk_step, step, steps)
        rest = (reset, statistic, decay, 0, past_caches != 0)
        _run(places, block, n, width, rest, 0)
    else:
        _run(places, block, n, width, rest, shape)


@exact
def _tail(places: Any, block: Any, whole: Any, width: Any, scratch: Any, how: Any) -> None:
    """The last neurons of a block, fewer than a vector holds, in memory of their own."""
    x_at, spk_at, v_at, dx_at, wants_beta, wants_threshold, x_step, spk_step, step, steps = places
    xs, spikes, sent, vs = scratch
    kind = block[0]
    size, left, line = kind.itemsize, width - whole, LANES * kind.itemsize
    back = whole * size
    own_spikes = 0 if spk_at == 0 else spikes.ctypes.data - back
    own_v = 0 if v_at == 0 else vs.ctypes.data - whole * VALUE
    own_dx = 0 if dx_at == 0 else sent.ctypes.data - back
    for t in range(steps):
        x = values_at(x_at + t * x_step, whole, left, kind)
        copy(x, values_at(xs.ctypes.data, t * LANES, left, kind), left)
        if spk_at != 0:
            ds = values_at(spk_at + t * spk_step, whole, left, kind)
            copy(ds, values_at(spikes.ctypes.data, t * LANES, left, kind), left)
        if v_at != 0:
            dv = values_at(v_at + t * step * VALUE, whole, left, FLOAT)
            copy(dv, values_at(vs.ctypes.data, t * LANES, left, FLOAT), left)
    own = (xs.ctypes.data - back, own_spikes, own_v, own_dx, wants_beta, wants_threshold)
    places = (*own, line, line, LANES, steps)
    reset, shape, statistic, decay, constant, _ = how
    how = (reset, shape, statistic, decay, constant, 0)
    _run_of(places, block, whole, width, how)
    if dx_at != 0:
        for t in range(1 if constant != 0 else steps):
            found = values_at(sent.ctypes.data, t * LANES, left, kind)
            copy(found, values_at(dx_at + t * step * size, whole, left, kind), left)


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
        table: (address, d, m) of the parameters BETA to SCALE, and to MEAN for statistics.
        how: codes of reset, shape and statistic; whether the current is multiplied by 1 - beta,
            whether it is constant in time, and whether its gradient goes past the caches.
        spikes: from one timestep to the next, and from one run to the next, in the gradient by
            spikes.
        count: neurons that a mean of U is of.
    """
    x_at, spk_at, v_at, dx_at, by_beta_at, by_threshold_at = tensors
    steps, run, block, x_step, x_run, step, stride = times
    w = np.zeros(ROWS * BLOCK, np.float32)
    changes, derived = varies(table), (False, True)
    fill_all(w, table, 0, BLOCK, how[3], how[1], derived)
    w_at, size = w.ctypes.data, kind.itemsize
    constant = how[4]
    many = steps * LANES
    history = np.zeros(many + LANES, np.float32)
    own = (np.zeros(many, kind.dtype), np.zeros(many, kind.dtype), np.zeros(many, kind.dtype))
    scratch = (*own, np.zeros(many, np.float32))
    past = (history.ctypes.data + LINE - 1) // LINE * LINE
    of_block = (kind, past, (w_at, int(changes)), np.float32(1.0 / count))
    in_run = (run + block - 1) // block
    for b in range(first, last):
        r, start = b // in_run, b % in_run * block
        width = min(block, run - start)
        place, to = r * run + start, r * stride + start
        if changes:
            fill_all(w, table, place, width, how[3], how[1], derived)
        sent_to = place if constant != 0 else to
        places = (
            x_at + (r * x_run + start) * size,
            0 if spk_at == 0 else spk_at + (r * spikes[1] + start) * size,
            0 if v_at == 0 else v_at + to * VALUE,
            0 if dx_at == 0 else dx_at + sent_to * size,
            by_beta_at != 0,
            by_threshold_at != 0,
            x_step * size,
            spikes[0] * size,
            step,
            steps,
        )
        whole = width // LANES * LANES
        _run_of(places, of_block, 0, whole, how)
        if whole < width:
            _tail(places, of_block, whole, width, scratch, how)
        if by_beta_at != 0:
            found = values_at(w_at, BY_BETA, width, FLOAT)
            copy(found, values_at(by_beta_at, place, width, FLOAT), width)
        if by_threshold_at != 0:
            found = values_at(w_at, BY_THRESHOLD, width, FLOAT)
            copy(found, values_at(by_threshold_at, place, width, FLOAT), width)
    keep(history)
    if how[5] != 0:
        finish_streams()
