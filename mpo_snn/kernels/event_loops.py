"""The loops of the event-driven convolution that numba compiles; `event_conv` calls them.

Only imported where numba is. A row of weights holds the outputs of one block, one after another, so
that an event adds it to as many sums, all of them in vector registers (`event_vectors`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mpo_snn.kernels.event_vectors import TOGETHER, add_rows, lowest, move, not_zero
from mpo_snn.kernels.numba_memory import exact, within

ONE = np.uint64(1)
BYTES = np.uint64(4)
"""Of a value, float32, and of a row's number."""


@exact
def find_events(
    values: Any, at: Any, width: Any, depth: Any, channels: Any, events: Any, starts: Any
) -> Any:
    """List what is not zero in lines of pixels; return how many that is, and if all of it is 1.

    Args:
        values: of all images, one after another.
        at: where the first pixel's first channel is, for each line.
        width: pixels of a line.
        depth: values from one pixel to the next.
        channels: of a pixel to look at.
        events: two arrays; they take of each event its place in its line,
            pixel x channels + channel, and its value.
        starts: takes the number of events before each pixel, and at the end of all.
    """
    places, graded = events
    base = np.uint64(values.ctypes.data)
    found = np.uint64(0)
    is_unit = True
    pixel = 0
    step = 64 if channels % 64 == 0 else 32 if channels % 32 == 0 else 16
    for line in at:
        for x in range(width):
            starts[pixel] = found
            pixel += 1
            origin = np.uint64(line + x * depth)
            place = np.uint64(x * channels)
            if channels % 16 == 0:
                for start in range(0, channels, step):
                    here = base + (origin + np.uint64(start)) * BYTES
                    mask = not_zero(step, here)
                    while mask:
                        channel = np.uint64(start) + lowest(mask)
                        value = values[origin + channel]
                        is_unit &= value == 1
                        places[found] = place + channel
                        graded[found] = value
                        found += ONE
                        mask &= mask - ONE
            else:  # written down in any case, and kept if it is an event: nothing to be guessed
                for channel in range(np.uint64(channels)):
                    value = values[origin + channel]
                    places[found] = place + channel
                    graded[found] = value
                    found += np.uint64(value != 0)
                    is_unit &= (value == 0) | (value == 1)
    starts[pixel] = found
    return found, is_unit


def room_for(images: Any, weights: Any, out: Any) -> tuple[Any, ...]:
    """What `convolve` works with; it takes addresses, so that somebody else must keep it."""
    _, height, width, depth = images.shape
    groups, _, rows, block = weights.shape
    most = height * width * (depth // groups) + TOGETHER
    return (
        (np.empty(most, np.int32), np.empty(most, np.float32)),
        np.empty(height * width + 1, np.int64),
        (np.empty(rows + TOGETHER, np.int32), np.empty(rows + TOGETHER, np.float32)),
        np.empty(out.shape[1] * out.shape[2] * block, np.float32),
        np.zeros(block, np.float32),
    )


@within
def _seen(
    y: Any, x: Any, weights: Any, taps: Any, image: Any, window: Any, zeros: Any, room: Any
) -> Any:
    """What the kernel sees at a pixel: addresses of weights, events' rows and values; how many.

    Events of one kernel row are taken where they are listed; those of several are copied together.
    """
    first_row, last_row, first_column, last_column = taps
    height, width, channels, is_unit = image
    _, kernel_columns, stride_y, stride_x, dilation_y, dilation_x = window
    (places, graded), starts, (rows, values), _, _ = room
    places_at, graded_at = np.uint64(places.ctypes.data), np.uint64(graded.ctypes.data)
    rows_at, values_at = np.uint64(rows.ctypes.data), np.uint64(values.ctypes.data)
    weights_at = np.uint64(weights.ctypes.data)
    left = x * stride_x - zeros[1] + first_column * dilation_x
    start, stop = max(left, 0), min(left + last_column - first_column, width)
    number = np.uint64(0)
    for row in range(first_row, last_row):
        line = y * stride_y - zeros[0] + row * dilation_y
        if line < 0 or line >= height or start >= stop:
            continue
        first = np.uint64(starts[line * width + start])
        many = np.uint64(starts[line * width + stop]) - first
        shift = np.uint64(channels * (row * kernel_columns + first_column - left))
        if last_row - first_row == 1:
            weights_at += shift * np.uint64(weights.shape[1]) * BYTES
            rows_at, values_at = places_at + first * BYTES, graded_at + first * BYTES
        else:
            for done in range(np.uint64(0), many, np.uint64(TOGETHER)):
                source, to = (first + done) * BYTES, (number + done) * BYTES
                move(places_at + source, rows_at + to, shift)
                if not is_unit:
                    move(graded_at + source, values_at + to, np.uint64(0))
        number += many
    return weights_at, rows_at, values_at, number


@exact
def _pass(block_of: Any, taps: Any, image: Any, window: Any, zeros: Any, room: Any) -> None:
    """Add to the sums of a block of outputs what some of the kernel sees at every pixel.

    Args:
        block_of: the block's weights, bias and outputs.
        taps: the first kernel row and the one behind the last, and the columns likewise.
        image: its height, width and channels, and whether all events are 1.
        window: as in `convolve`.
        zeros: likewise.
        room: likewise.
    """
    weights, bias, out = block_of
    _, _, _, sums, nothing = room
    out_height, out_width, size = out.shape
    block, is_unit = weights.shape[1], image[3]
    wide = np.uint64(block) * BYTES
    is_first = taps[0] == 0 and taps[2] == 0
    is_last = taps[1] == window[0] and taps[3] == window[1]
    nothing_at, sums_at = np.uint64(nothing.ctypes.data), np.uint64(sums.ctypes.data)
    out_at = np.uint64(out.ctypes.data)
    bias_at = np.uint64(bias.ctypes.data) if is_last else nothing_at
    for y in range(out_height):
        for x in range(out_width):
            weights_at, rows_at, values_at, number = _seen(
                y, x, weights, taps, image, window, zeros, room
            )
            pixel = y * out_width + x
            kept = sums_at + np.uint64(pixel) * wide
            to = kept
            if is_last and size == block:
                to = out_at + np.uint64(y * out.strides[0] + x * out.strides[1])
            before = nothing_at if is_first else kept
            addresses = (before, to, weights_at, bias_at, rows_at, values_at)
            add_rows(block, is_unit, (*addresses, number))
            if is_last and size < block:
                for o in range(size):
                    out[y, x, o] = sums[pixel * block + o]


@exact
def convolve(
    images: Any, weights: Any, bias: Any, out: Any, window: Any, zeros: Any, at_once: Any, room: Any
) -> Any:
    """Convolve some images and return how many events they had.

    Each output is the sum over kernel rows, kernel columns and channels, in this order, with one
    rounding for each product and sum together, and then the bias. It is done in passes over the
    image, each with so much of the kernel that its weights stay in the first-level cache.

    Args:
        images: [N, height, width, channels], contiguous.
        weights: [groups, blocks, kernel rows * columns * channels of a group, outputs of a block].
        bias: [groups, blocks, outputs of a block].
        out: takes [N, height, width, outputs], contiguous.
        window: kernel, stride and dilation, two of each.
        zeros: before the first line and column.
        at_once: kernel rows and columns of a pass; several rows only with all columns, several
            columns only without dilation.
        room: of `room_for`.
    """
    count, height, width, depth = images.shape
    kernel_rows, kernel_columns = window[0], window[1]
    rows_at_once, columns_at_once = at_once
    groups, blocks, _, block = weights.shape
    channels, own = depth // groups, out.shape[3] // groups
    events, starts = room[0], room[1]
    values = images.reshape(-1)
    total = np.uint64(0)
    for n in range(count):
        for group in range(groups):
            lines = (n * height + np.arange(height)) * width * depth + group * channels
            found, is_unit = find_events(values, lines, width, depth, channels, events, starts)
            total += found
            for part in range(blocks):
                first = group * own + part * block
                size = min(block, own - part * block)
                block_of = (
                    weights[group, part],
                    bias[group, part],
                    out[n, :, :, first : first + size],
                )
                for row in range(0, kernel_rows, rows_at_once):
                    for column in range(0, kernel_columns, columns_at_once):
                        taps = (
                            row,
                            min(row + rows_at_once, kernel_rows),
                            column,
                            min(column + columns_at_once, kernel_columns),
                        )
                        image = (height, width, channels, is_unit)
                        _pass(block_of, taps, image, window, zeros, room)
    return total
