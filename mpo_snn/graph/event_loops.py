"""The loops of the event-driven convolution that numba compiles; `event_conv` calls them.

Only imported where numba is. A row of weights holds the outputs of one block, one after another, so
that an event adds it to as many sums, all of them in vector registers. numba has no vectors, so the
two loops that need them are written in LLVM's language: which of some values are not zero, and the
sum of the rows of some events.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from mpo_snn.kernels.numba_memory import exact

ONE = np.uint64(1)
BYTES = np.uint64(4)
"""Of a value, float32, and of a row's number."""
TOGETHER = 32
"""Events that are copied at once, whether there are as many or not: a branch less."""
_FLOAT, _INT32, _INT64, _FLAG = ir.FloatType(), ir.IntType(32), ir.IntType(64), ir.IntType(1)


def _mask(width: int) -> Any:
    """Make the function that tells by bits which of `width` values at an address are not 0."""
    vector = ir.VectorType(_FLOAT, width)

    @intrinsic
    def not_zero(typing: Any, address: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointer = builder.inttoptr(arguments[0], vector.as_pointer())
            zeros = ir.Constant(vector, [0.0] * width)
            is_event = builder.fcmp_unordered("!=", builder.load(pointer, align=4), zeros)
            mask = builder.bitcast(is_event, ir.IntType(width))
            return mask if width == 64 else builder.zext(mask, _INT64)

        return types.uint64(types.uint64), code

    return not_zero


_not_zero_64, _not_zero_32, _not_zero_16 = _mask(64), _mask(32), _mask(16)


@intrinsic
def _lowest(typing: Any, mask: Any) -> Any:
    """The place of the lowest bit that is set."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(_FLAG, 1))

    return types.uint64(types.uint64), code


def _sum(width: int, is_unit: bool) -> Any:
    """Make the function that adds rows of weights of events, in their order, and a bias to sums.

    It takes addresses, of the sums before and after, of the weights, of the bias, of each event's
    row and value, and how many events there are. `is_unit`: all values are 1 and not read.
    """
    vector = ir.VectorType(_FLOAT, width)

    @intrinsic
    def add_rows(
        typing: Any,
        before: Any,
        after: Any,
        weights: Any,
        bias: Any,
        rows: Any,
        values: Any,
        count: Any,
    ) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            before, after, weights, bias, rows, values, count = arguments
            at_first = builder.load(builder.inttoptr(before, vector.as_pointer()), align=4)
            weights = builder.inttoptr(weights, _FLOAT.as_pointer())
            rows = builder.inttoptr(rows, _INT32.as_pointer())
            values = builder.inttoptr(values, _FLOAT.as_pointer())
            entry = builder.block
            head, body, end = (builder.append_basic_block(n) for n in ("head", "body", "end"))
            builder.branch(head)

            builder.position_at_end(head)
            event, total = builder.phi(_INT64), builder.phi(vector)
            event.add_incoming(ir.Constant(_INT64, 0), entry)
            total.add_incoming(at_first, entry)
            builder.cbranch(builder.icmp_unsigned("<", event, count), body, end)

            builder.position_at_end(body)
            row = builder.zext(builder.load(builder.gep(rows, [event])), _INT64)
            start = builder.gep(weights, [builder.mul(row, ir.Constant(_INT64, width))])
            weight = builder.load(builder.bitcast(start, vector.as_pointer()), align=4)
            if is_unit:
                added = builder.fadd(total, weight)
            else:
                value = _spread(builder, builder.load(builder.gep(values, [event])), vector)
                added = builder.call(_multiply_add(builder, vector), [weight, value, total])
            event.add_incoming(builder.add(event, ir.Constant(_INT64, 1)), body)
            total.add_incoming(added, body)
            builder.branch(head)

            builder.position_at_end(end)
            bias = builder.load(builder.inttoptr(bias, vector.as_pointer()), align=4)
            to = builder.inttoptr(after, vector.as_pointer())
            builder.store(builder.fadd(total, bias), to, align=4)
            return context.get_dummy_value()

        return types.void(*[types.uint64] * 7), code

    return add_rows


def _spread(builder: Any, value: Any, vector: Any) -> Any:
    nothing = ir.Constant(vector, ir.Undefined)
    every = ir.Constant(ir.VectorType(_INT32, vector.count), [0] * vector.count)
    first = builder.insert_element(nothing, value, ir.Constant(_INT32, 0))
    return builder.shuffle_vector(first, nothing, every)


def _multiply_add(builder: Any, vector: Any) -> Any:
    kind = ir.FunctionType(vector, [vector] * 3)
    name = f"llvm.fma.v{vector.count}f32"
    return cgutils.get_or_insert_function(builder.module, kind, name)


_sum_64, _sum_32, _sum_16 = _sum(64, False), _sum(32, False), _sum(16, False)
_sum_units_64, _sum_units_32, _sum_units_16 = _sum(64, True), _sum(32, True), _sum(16, True)


@intrinsic
def _move(typing: Any, source: Any, to: Any, shift: Any) -> Any:
    """Copy as many numbers of 32 bits as TOGETHER says from one address to another, plus shift."""
    vector = ir.VectorType(_INT32, TOGETHER)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, to, shift = arguments
        numbers = builder.load(builder.inttoptr(source, vector.as_pointer()), align=4)
        shift = _spread(builder, builder.trunc(shift, _INT32), vector)
        moved = builder.add(numbers, shift)
        builder.store(moved, builder.inttoptr(to, vector.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64, types.uint64), code


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
                    if step == 64:
                        mask = _not_zero_64(here)
                    elif step == 32:
                        mask = _not_zero_32(here)
                    else:
                        mask = _not_zero_16(here)
                    while mask:
                        channel = np.uint64(start) + _lowest(mask)
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
    _, out_height, out_width, outputs = out.shape
    kernel_rows, kernel_columns, stride_y, stride_x, dilation_y, dilation_x = window
    before_y, before_x = zeros
    rows_at_once, columns_at_once = at_once
    groups, blocks, rows, block = weights.shape
    channels, own = depth // groups, outputs // groups
    events, starts, seen, sums, nothing = room
    values, results = images.reshape(-1), out.reshape(-1)
    sums_at, results_at = np.uint64(sums.ctypes.data), np.uint64(results.ctypes.data)
    weights_at, bias_at = np.uint64(weights.ctypes.data), np.uint64(bias.ctypes.data)
    nothing_at = np.uint64(nothing.ctypes.data)
    places_at, graded_at = np.uint64(events[0].ctypes.data), np.uint64(events[1].ctypes.data)
    rows_at, values_at = np.uint64(seen[0].ctypes.data), np.uint64(seen[1].ctypes.data)
    wide = np.uint64(block) * BYTES
    total = np.uint64(0)
    for n in range(count):
        for group in range(groups):
            lines = (n * height + np.arange(height)) * width * depth + group * channels
            found, is_unit = find_events(values, lines, width, depth, channels, events, starts)
            total += found
            for part in range(blocks):
                which = np.uint64(group * blocks + part)
                panel = weights_at + which * np.uint64(rows) * wide
                size = min(block, own - part * block)
                for kernel_row in range(0, kernel_rows, rows_at_once):
                    last_row = min(kernel_row + rows_at_once, kernel_rows)
                    for column in range(0, kernel_columns, columns_at_once):
                        is_first = kernel_row == 0 and column == 0
                        is_last = (
                            last_row == kernel_rows and column + columns_at_once >= kernel_columns
                        )
                        bias_of = bias_at + which * wide if is_last else nothing_at
                        span = min(columns_at_once, kernel_columns - column)
                        for y in range(out_height):
                            for x in range(out_width):
                                left = x * stride_x - before_x + column * dilation_x
                                start, stop = max(left, 0), min(left + span, width)
                                number = np.uint64(0)
                                here_weights, here_rows, here_values = panel, rows_at, values_at
                                for row in range(kernel_row, last_row):
                                    line = y * stride_y - before_y + row * dilation_y
                                    if line < 0 or line >= height or start >= stop:
                                        continue
                                    first = np.uint64(starts[line * width + start])
                                    many = np.uint64(starts[line * width + stop]) - first
                                    shift = np.uint64(
                                        channels * (row * kernel_columns + column - left)
                                    )
                                    if rows_at_once == 1:
                                        here_weights = panel + shift * wide
                                        here_rows = places_at + first * BYTES
                                        here_values = graded_at + first * BYTES
                                    else:
                                        for done in range(np.uint64(0), many, np.uint64(TOGETHER)):
                                            source = (first + done) * BYTES
                                            to = (number + done) * BYTES
                                            _move(places_at + source, rows_at + to, shift)
                                            if not is_unit:
                                                _move(
                                                    graded_at + source,
                                                    values_at + to,
                                                    np.uint64(0),
                                                )
                                    number += many
                                pixel = y * out_width + x
                                kept = sums_at + np.uint64(pixel) * wide
                                to = kept
                                at = (n * out_height * out_width + pixel) * outputs
                                at += group * own + part * block
                                if is_last and size == block:
                                    to = results_at + np.uint64(at) * BYTES
                                addresses = (
                                    nothing_at if is_first else kept,
                                    to,
                                    here_weights,
                                    bias_of,
                                    here_rows,
                                    here_values,
                                    number,
                                )
                                if is_unit:
                                    if block == 64:
                                        _sum_units_64(*addresses)
                                    elif block == 32:
                                        _sum_units_32(*addresses)
                                    else:
                                        _sum_units_16(*addresses)
                                elif block == 64:
                                    _sum_64(*addresses)
                                elif block == 32:
                                    _sum_32(*addresses)
                                else:
                                    _sum_16(*addresses)
                                if is_last and size < block:
                                    for o in range(size):
                                        results[at + o] = sums[pixel * block + o]
    return total
