"""Membranes of a vector of neurons, computed anew and kept for all timesteps, for the way back."""

from __future__ import annotations

from typing import Any

from mpo_snn.kernels.numba_forward import AHEAD, advance, carried
from mpo_snn.kernels.numba_memory import ZERO, exact, within
from mpo_snn.kernels.numba_rows import BETA, FLOAT, GAIN, THRESHOLD, VALUE, at
from mpo_snn.kernels.numba_vectors import LANES, ask_for, choose, load, splat, store


@within
def _history(source: Any, kind: Any, past: Any, n: Any, w: Any, reset: Any) -> Any:
    x_from, x_step, steps = source
    beta, gain, threshold = at(w, BETA, n), at(w, GAIN, n), at(w, THRESHOLD, n)
    state, total, v = splat(ZERO), splat(ZERO), splat(ZERO)
    for t in range(steps):
        ask_for(x_from + AHEAD, kind)
        v = advance(load(x_from, kind), state, beta, gain, threshold, reset)
        store(past + t * LANES * VALUE, v, FLOAT)
        total = total + v
        state = carried(v, threshold, reset)
        x_from += x_step
    return total, v


@exact
def history_of(source: Any, kind: Any, past: Any, n: Any, w: Any, reset: Any) -> Any:
    """Write the membranes; their sum and the last of them.

    Args:
        source: address of the current of the first neuron, step from one timestep to the
            next, timesteps.
        kind: the type of the current.
        past: address of the membranes, a vector for each timestep.
        n: place of the first neuron in its block.
        w: the rows of the block, as `at` takes them.
        reset: code of the reset.
    """
    if reset == 0:
        return _history(source, kind, past, n, w, 0)
    if reset == 1:
        return _history(source, kind, past, n, w, 1)
    if reset == 2:
        return _history(source, kind, past, n, w, 2)
    return _history(source, kind, past, n, w, 3)


@exact
def handed_on(v: Any, threshold: Any, reset: Any) -> Any:
    """The state that a membrane leaves to the next timestep; 0 of one that spikes for `zero`."""
    if reset == 0:
        return choose(v > threshold, splat(ZERO), v)
    if reset == 1:
        return carried(v, threshold, 1)
    return v
