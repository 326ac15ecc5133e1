"""The loops of the event-driven convolution that numba compiles; `event_conv` calls them.

Only imported where numba is. A row of weights holds the outputs of one block, one after another, so
that an event adds it to as many sums, all of them in vector registers. numba has no vectors, so the
two loops that need them are written in LLVM's language: which of some values are not zero, and the
sum of the rows of some events.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

ONE = np.uint64(1)
BYTES = np.uint64(4)
"""Of a value, float32."""
_FLOAT, _INT32, _INT64, _FLAG = ir.FloatType(), ir.IntType(32), ir.IntType(64), ir.IntType(1)


def _compiled(function: Any) -> Any:
    """Compile at the first call; kept on disk for the next process where that can be written."""
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(**options)(function)


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


def _sum(width: int) -> Any:
    """Make the function that adds up the rows of weights of events, in their order.

    It takes addresses: of the sums, of the weights, of the bias, which comes last, of each event's
    place and value, of the pieces (first event, one behind the last, what makes a place a row), and
    where the pieces end.
    """
    vector = ir.VectorType(_FLOAT, width)

    @intrinsic
    def add_rows(
        typing: Any,
        sums: Any,
        weights: Any,
        bias: Any,
        places: Any,
        values: Any,
        pieces: Any,
        end: Any,
    ) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            sums, weights, bias, places, values, pieces, pieces_end = arguments
            weights = builder.inttoptr(weights, _FLOAT.as_pointer())
            places = builder.inttoptr(places, _INT32.as_pointer())
            values = builder.inttoptr(values, _FLOAT.as_pointer())
            pieces = builder.inttoptr(pieces, _INT64.as_pointer())
            multiply_add = cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(vector, [vector] * 3),
                f"llvm.fma.v{width}f32",
            )
            nothing = ir.Constant(vector, ir.Undefined)
            every = ir.Constant(ir.VectorType(_INT32, width), [0] * width)

            def number(value: int) -> Any:
                return ir.Constant(_INT64, value)

            entry = builder.block
            piece_head, piece_body, head, body, piece_end, end = (
                builder.append_basic_block(name)
                for name in ("piece_head", "piece_body", "head", "body", "piece_end", "end")
            )
            builder.branch(piece_head)

            builder.position_at_end(piece_head)
            piece, before = builder.phi(_INT64), builder.phi(vector)
            piece.add_incoming(number(0), entry)
            before.add_incoming(ir.Constant(vector, [0.0] * width), entry)
            builder.cbranch(builder.icmp_signed("<", piece, pieces_end), piece_body, end)

            builder.position_at_end(piece_body)
            first, last, shift = (
                builder.load(builder.gep(pieces, [builder.add(piece, number(i))])) for i in range(3)
            )
            shifted = builder.gep(weights, [builder.mul(shift, number(width))])
            builder.branch(head)

            builder.position_at_end(head)
            event, total = builder.phi(_INT64), builder.phi(vector)
            event.add_incoming(first, piece_body)
            total.add_incoming(before, piece_body)
            builder.cbranch(builder.icmp_signed("<", event, last), body, piece_end)

            builder.position_at_end(body)
            row = builder.sext(builder.load(builder.gep(places, [event])), _INT64)
            start = builder.gep(shifted, [builder.mul(row, number(width))])
            weight = builder.load(builder.bitcast(start, vector.as_pointer()), align=4)
            value = builder.load(builder.gep(values, [event]))
            value = builder.insert_element(nothing, value, ir.Constant(_INT32, 0))
            value = builder.shuffle_vector(value, nothing, every)
            event.add_incoming(builder.add(event, number(1)), body)
            total.add_incoming(builder.call(multiply_add, [weight, value, total]), body)
            builder.branch(head)

            builder.position_at_end(piece_end)
            piece.add_incoming(builder.add(piece, number(3)), piece_end)
            before.add_incoming(total, piece_end)
            builder.branch(piece_head)

            builder.position_at_end(end)
            bias = builder.load(builder.inttoptr(bias, vector.as_pointer()), align=4)
            total = builder.fadd(before, bias)
            builder.store(total, builder.inttoptr(sums, vector.as_pointer()), align=4)
            return context.get_dummy_value()

        return types.void(*[types.uint64] * 6, types.int64), code

    return add_rows


_sum_64, _sum_32, _sum_16 = _sum(64), _sum(32), _sum(16)


@_compiled
def find_events(
    values: Any, at: Any, width: Any, depth: Any, channels: Any, events: Any, starts: Any
) -> Any:
    """List what is not zero in a line of pixels or more, and return how many that is.

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
                        places[found] = place + channel
                        graded[found] = values[origin + channel]
                        found += ONE
                        mask &= mask - ONE
            else:  # written down in any case, and kept if it is an event: nothing to be guessed
                for channel in range(np.uint64(channels)):
                    value = values[origin + channel]
                    places[found] = place + channel
                    graded[found] = value
                    found += np.uint64(value != 0)
    starts[pixel] = found
    return found


@_compiled
def convolve(
    images: Any, weights: Any, bias: Any, out: Any, window: Any, zeros: Any, groups: Any
) -> Any:
    """Convolve some images and return how many events they had.

    Each output is the sum over kernel rows, kernel columns and channels, in this order, with one
    rounding for each product and sum together, and then the bias.

    Args:
        images: [N, height, width, channels], contiguous.
        weights: [groups, blocks, kernel rows * columns * channels of a group, outputs of a block].
        bias: [groups, blocks, outputs of a block].
        out: takes [N, height, width, outputs], contiguous.
        window: kernel, stride and dilation, two of each.
        zeros: before the first line and column.
        groups: of channels.
    """
    count, height, width, depth = images.shape
    _, out_height, out_width, outputs = out.shape
    kernel_rows, kernel_columns, stride_y, stride_x, dilation_y, dilation_x = window
    before_y, before_x = zeros
    channels, own = depth // groups, outputs // groups
    blocks, rows, block = weights.shape[1:]
    most = height * width * channels + 1
    events = np.empty(most, np.int32), np.empty(most, np.float32)
    starts = np.empty(height * width + 1, np.int64)
    columns = 1 if dilation_x == 1 else kernel_columns  # pieces of a kernel row
    span = kernel_columns // columns
    pieces = np.empty(3 * kernel_rows * columns, np.int64)
    sums = np.empty(block, np.float32)
    values, results = images.reshape(-1), out.reshape(-1)
    sums_at, results_at = np.uint64(sums.ctypes.data), np.uint64(results.ctypes.data)
    weights_at, bias_at = np.uint64(weights.ctypes.data), np.uint64(bias.ctypes.data)
    events_at = np.uint64(events[0].ctypes.data), np.uint64(events[1].ctypes.data)
    pieces_at = np.uint64(pieces.ctypes.data)
    total = np.uint64(0)
    for n in range(count):
        for group in range(groups):
            lines = (n * height + np.arange(height)) * width * depth + group * channels
            total += find_events(values, lines, width, depth, channels, events, starts)
            for y in range(out_height):
                for x in range(out_width):
                    end = 0
                    for kernel_row in range(kernel_rows):
                        line = y * stride_y - before_y + kernel_row * dilation_y
                        if line < 0 or line >= height:
                            continue
                        for column in range(columns):
                            left = x * stride_x - before_x + column * dilation_x
                            start, stop = max(left, 0), min(left + span, width)
                            if start < stop:
                                pieces[end] = starts[line * width + start]
                                pieces[end + 1] = starts[line * width + stop]
                                pieces[end + 2] = channels * (
                                    kernel_row * kernel_columns + column - left
                                )
                                end += 3
                    first = ((n * out_height + y) * out_width + x) * outputs + group * own
                    for part in range(blocks):
                        here = np.uint64(group * blocks + part)
                        size = min(block, own - part * block)
                        to = results_at + np.uint64(first) * BYTES if size == block else sums_at
                        of_block = weights_at + here * np.uint64(rows * block) * BYTES
                        bias_of = bias_at + here * np.uint64(block) * BYTES
                        if block == 64:
                            _sum_64(to, of_block, bias_of, *events_at, pieces_at, end)
                        elif block == 32:
                            _sum_32(to, of_block, bias_of, *events_at, pieces_at, end)
                        else:
                            _sum_16(to, of_block, bias_of, *events_at, pieces_at, end)
                        if size < block:
                            for o in range(size):
                                results[first + o] = sums[o]
                        first += size
    return total
