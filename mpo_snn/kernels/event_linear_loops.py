"""The loops of the event-driven product that numba compiles; `event_linear` calls them.

Only imported where numba is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mpo_snn.kernels.event_loops import BYTES, find_events
from mpo_snn.kernels.event_vectors import add_rows
from mpo_snn.kernels.numba_memory import exact, keep


@exact
def multiply(lines: Any, weights: Any, bias: Any, out: Any, depth: Any) -> Any:
    """Multiply some lines and return how many events they had.

    Part by part of the inputs, and in each block by block of the outputs, so that the weights of
    both stay near while all lines pass.

    Args:
        lines: [N, inputs], contiguous.
        weights: [blocks, inputs, outputs of a block].
        bias: [blocks, outputs of a block].
        out: takes [N, blocks * outputs of a block], contiguous.
        depth: inputs of a part.
    """
    count, inputs = lines.shape
    blocks, _, block = weights.shape
    values = lines.reshape(-1)
    most = count * min(depth, inputs)
    events = (np.empty(most, np.int32), np.empty(most, np.float32))
    starts = np.empty(count + 1, np.int64)
    nothing = np.zeros(block, np.float32)
    places_at, graded_at = np.uint64(events[0].ctypes.data), np.uint64(events[1].ctypes.data)
    nothing_at, out_at = np.uint64(nothing.ctypes.data), np.uint64(out.ctypes.data)
    wide = np.uint64(block) * BYTES
    total = np.uint64(0)
    for first in range(0, inputs, depth):
        size = min(depth, inputs - first)
        at = np.arange(count) * inputs + first
        found, is_unit = find_events(values, at, 1, inputs, size, events, starts)
        total += found
        for part in range(blocks):
            weights_at = np.uint64(weights.ctypes.data)
            weights_at += np.uint64(part * inputs + first) * wide
            bias_at = np.uint64(bias.ctypes.data) + np.uint64(part) * wide
            for line in range(count):
                to = out_at + np.uint64(line * blocks + part) * wide
                begin = np.uint64(starts[line])
                number = np.uint64(starts[line + 1]) - begin
                rows_at, values_at = places_at + begin * BYTES, graded_at + begin * BYTES
                added_to = bias_at if first == 0 else to
                addresses = (nothing_at, to, weights_at, added_to, rows_at, values_at)
                add_rows(block, is_unit, (*addresses, number))
    keep(nothing)
    return total
