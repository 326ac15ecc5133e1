"""Float32 vectors of the event-driven convolution, in LLVM's language: numba has none.

Which of some values are not zero, the sum of the rows of weights of some events, and a copy of some
numbers. Whatever is called here is put into the loops of `event_loops`, which numba keeps compiled
and looks at the age of that file alone: who edits this one deletes `mpo_snn/kernels/__pycache__`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from mpo_snn.kernels.numba_memory import within

TOGETHER = 32
"""Numbers that are copied at once, whether there are as many or not: a branch less."""
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


@within
def not_zero(width: Any, address: Any) -> Any:
    """Tell by bits which of 64, 32 or 16 values at an address are not 0."""
    if width == 64:
        return _not_zero_64(address)
    if width == 32:
        return _not_zero_32(address)
    return _not_zero_16(address)


@intrinsic
def lowest(typing: Any, mask: Any) -> Any:
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
                value = spread(builder, builder.load(builder.gep(values, [event])), vector)
                added = builder.call(multiply_add(builder, vector), [weight, value, total])
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


def spread(builder: Any, value: Any, vector: Any) -> Any:
    """One value in every place."""
    nothing = ir.Constant(vector, ir.Undefined)
    every = ir.Constant(ir.VectorType(_INT32, vector.count), [0] * vector.count)
    first = builder.insert_element(nothing, value, ir.Constant(_INT32, 0))
    return builder.shuffle_vector(first, nothing, every)


def multiply_add(builder: Any, vector: Any) -> Any:
    """The function that rounds product and sum at once."""
    kind = ir.FunctionType(vector, [vector] * 3)
    name = f"llvm.fma.v{vector.count}f32"
    return cgutils.get_or_insert_function(builder.module, kind, name)


_sum_64, _sum_32, _sum_16 = _sum(64, False), _sum(32, False), _sum(16, False)
_sum_units_64, _sum_units_32, _sum_units_16 = _sum(64, True), _sum(32, True), _sum(16, True)


@within
def add_rows(width: Any, is_unit: Any, addresses: Any) -> None:
    """Add rows of 64, 32 or 16 weights to sums; the rest as `_sum` says."""
    if is_unit:
        if width == 64:
            _sum_units_64(*addresses)
        elif width == 32:
            _sum_units_32(*addresses)
        else:
            _sum_units_16(*addresses)
    elif width == 64:
        _sum_64(*addresses)
    elif width == 32:
        _sum_32(*addresses)
    else:
        _sum_16(*addresses)


@intrinsic
def move(typing: Any, source: Any, to: Any, shift: Any) -> Any:
    """Copy as many numbers of 32 bits as TOGETHER says from one address to another, plus shift."""
    vector = ir.VectorType(_INT32, TOGETHER)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, to, shift = arguments
        numbers = builder.load(builder.inttoptr(source, vector.as_pointer()), align=4)
        shift = spread(builder, builder.trunc(shift, _INT32), vector)
        moved = builder.add(numbers, shift)
        builder.store(moved, builder.inttoptr(to, vector.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64, types.uint64), code
