"""The loops of the event-driven weight gradient that numba compiles; `event_gradient` calls them.

For a channel, the gradients of 32 outputs at all nine taps stay in eighteen vector registers while
its events pass: each adds the nine pixels of the outputs' gradient around it, and no sum is written
before the events of a few images are through. Only imported where numba is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from mpo_snn.kernels.event_vectors import lowest, multiply_add, not_zero, spread
from mpo_snn.kernels.numba_memory import ONE, ZERO, exact, quick
from mpo_snn.kernels.numba_rows import FLOAT, VALUE
from mpo_snn.kernels.numba_vectors import LANES, load, store

SIDE = 3
"""Rows and columns of a kernel."""
OUTPUTS = LANES
"""That are summed up at once."""
REGISTER = OUTPUTS // 2
"""Values of one."""
PIXEL = OUTPUTS * VALUE
"""Bytes of them."""
BIT, FOUR = np.uint64(1), np.uint64(VALUE)
_FLOAT, _INT32, _INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, REGISTER)


def _adding(is_unit: bool) -> Any:
    """Make the function that adds to sums of nine taps what the events of a channel see.

    It takes addresses of the sums, of the outputs' gradient, the bytes of a row of it, addresses of
    the events' places in it in bytes and of their values, and how many there are. `is_unit`: all
    values are 1 and not read.
    """
    taps = [(row, column, half) for row in range(SIDE) for column in range(SIDE) for half in (0, 1)]

    @intrinsic
    def add_events(
        typing: Any, sums: Any, grads: Any, row: Any, places: Any, values: Any, count: Any
    ) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            sums, grads, row_bytes, places, values, count = arguments

            def vector_at(address: Any, offset: int) -> Any:
                there = builder.add(address, ir.Constant(_INT64, offset))
                return builder.inttoptr(there, _VECTOR.as_pointer())

            places = builder.inttoptr(places, _INT32.as_pointer())
            values = builder.inttoptr(values, _FLOAT.as_pointer())
            step = REGISTER * VALUE
            entry = builder.block
            head, body, end = (builder.append_basic_block(n) for n in ("head", "body", "end"))
            builder.branch(head)

            builder.position_at_end(head)
            event, totals = builder.phi(_INT64), [builder.phi(_VECTOR) for _ in taps]
            event.add_incoming(ir.Constant(_INT64, 0), entry)
            for total in totals:
                total.add_incoming(ir.Constant(_VECTOR, [0.0] * REGISTER), entry)
            builder.cbranch(builder.icmp_unsigned("<", event, count), body, end)

            builder.position_at_end(body)
            place = builder.zext(builder.load(builder.gep(places, [event])), _INT64)
            lines = [builder.add(grads, place)]
            for _ in range(SIDE - 1):
                lines.append(builder.add(lines[-1], row_bytes))
            if not is_unit:
                value = spread(builder, builder.load(builder.gep(values, [event])), _VECTOR)
            for total, (row, column, half) in zip(totals, taps, strict=True):
                seen = vector_at(lines[row], column * PIXEL + half * step)
                grad = builder.load(seen, align=4)
                if is_unit:
                    added = builder.fadd(total, grad)
                else:
                    fused = multiply_add(builder, _VECTOR)
                    added = builder.call(fused, [grad, value, total])
                total.add_incoming(added, body)
            event.add_incoming(builder.add(event, ir.Constant(_INT64, 1)), body)
            builder.branch(head)

            builder.position_at_end(end)
            for place, total in enumerate(totals):
                to = vector_at(sums, place * step)
                builder.store(builder.fadd(builder.load(to, align=4), total), to, align=4)
            return context.get_dummy_value()

        return types.void(*[types.uint64] * 6), code

    return add_events


_add_events, _add_unit_events = _adding(False), _adding(True)


@quick
def count_events(values: Any) -> Any:
    """How many values are not 0."""
    found = 0
    for start in range(0, len(values), 2**20):  # whole numbers in float32: exact up to 2^24
        total = ZERO
        for value in values[start : start + 2**20]:
            total += ONE if value != ZERO else ZERO
        found += int(total)
    return found


@exact
def _list_events(images: Any, first: Any, last: Any, step: Any, row: Any, room: Any) -> Any:
    """List the events of some images by channel, from `first` to `last`; whether all are 1.

    Args:
        images: [n, height, width, channels], contiguous.
        first: channel.
        last: channel, which is not looked at any more.
        step: channels that are looked at together.
        row: bytes of a row of the outputs' gradient.
        room: takes the events' places, their values, and their number, each by channel.
    """
    places, graded, counts, padded = room
    counts[:] = 0
    is_unit = True
    n, height, width, channels = images.shape
    values = images.reshape(-1)
    base = np.uint64(images.ctypes.data)
    for i in range(n):
        for y in range(height):
            for x in range(width):
                pixel = np.uint64(((i * height + y) * width + x) * channels)
                place = (i * padded.shape[1] + y) * row + x * PIXEL
                for start in range(first, last, step):
                    mask = not_zero(step, base + (pixel + np.uint64(start)) * FOUR)
                    while mask:
                        channel = np.uint64(start) + lowest(mask)
                        value = values[pixel + channel]
                        own = channel - np.uint64(first)
                        number = counts[own]
                        places[own, number] = place
                        graded[own, number] = value
                        counts[own] = number + 1
                        is_unit &= value == 1
                        mask &= mask - BIT
    return is_unit


@exact
def _pad(grads: Any, start: Any, before: Any, padded: Any) -> None:
    """Copy 32 outputs of images into others with a border of zeros around."""
    n, height, width, outputs = grads.shape
    source, to = grads.ctypes.data + start * VALUE, padded.ctypes.data
    for i in range(n):
        for y in range(height):
            line = (i * padded.shape[1] + y + before[0]) * padded.shape[2] + before[1]
            for x in range(width):
                pixel = source + ((i * height + y) * width + x) * outputs * VALUE
                there = to + (line + x) * PIXEL
                store(there, load(pixel, FLOAT), FLOAT)


@exact
def weight_gradient(
    images: Any, grads: Any, first: Any, last: Any, before: Any, sums: Any, room: Any
) -> None:
    """Add up the gradient of the weights of the channels `first` to `last`.

    Args:
        images: input, [N, height, width, channels], contiguous; channels are multiples of 16.
        grads: gradient of the output, [N, rows, columns, outputs], contiguous; outputs are
            multiples of 32.
        first: channel, a multiple of 16.
        last: channel, which is not done any more.
        before: rows, and columns, of zeros before the outputs' gradient.
        sums: [outputs / 32, channels, 9, 32], zeros; takes the gradients, taps from the last to
            the first.
        room: as in `_list_events`, and [images at once, height + 2, width + 2, 32], zeros.
    """
    places, graded, counts, padded = room
    at_once = len(padded)
    row = padded.shape[2] * PIXEL
    many = last - first
    step = 64 if many % 64 == 0 else 32 if many % 32 == 0 else 16
    grads_at = np.uint64(padded.ctypes.data)
    for start in range(0, len(images), at_once):
        some = slice(start, min(start + at_once, len(images)))
        is_unit = _list_events(images[some], first, last, step, row, room)
        for block in range(len(sums)):
            _pad(grads[some], block * OUTPUTS, before, padded)
            for channel in range(first, last):
                own = channel - first
                addresses = (
                    np.uint64(sums[block, channel].ctypes.data),
                    grads_at,
                    np.uint64(row),
                    np.uint64(places[own].ctypes.data),
                    np.uint64(graded[own].ctypes.data),
                )
                if is_unit:
                    _add_unit_events(*addresses, np.uint64(counts[own]))
                else:
                    _add_events(*addresses, np.uint64(counts[own]))
