"""Thirty-two float32 at once, for the compiled loops: a type of numba's and what is done with it.

LLVM makes two AVX-512 registers of it, whose operations do not wait for each other, or as many
smaller ones as the machine wants. Operators round
each value as float32 arithmetic does; nothing is contracted but where `fma` says so. Numbers
beside vectors stand for as many equal ones. Values in memory are float32, or the bits of bfloat16
(`kind` is an array without values, of float32 or uint16).
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

LANES = 32
_FLOATS, _WORDS = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(ir.IntType(32), LANES)
_HALVES, _BITS = ir.VectorType(ir.IntType(16), LANES), ir.VectorType(ir.IntType(1), LANES)


class _Type(types.Type):  # type: ignore[misc]
    def __init__(self, name: str, value: Any) -> None:
        super().__init__(name=name)
        self.value = value


class _Vector(_Type):
    pass


class _Mask(_Type):
    pass


VECTOR, MASK = _Vector(f"float32x{LANES}", _FLOATS), _Mask(f"boolx{LANES}", _BITS)


@register_model(_Vector)
@register_model(_Mask)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, kind.value)


def _words(value: int) -> Any:
    return ir.Constant(_WORDS, [value] * LANES)


def _of_vectors(result: Any, count: int, code: Any) -> Any:
    """An intrinsic of `count` vectors (a mask first where the result is chosen)."""

    def made(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return code(builder, *arguments)

    if count == 1:

        @intrinsic
        def one(typing: Any, a: Any) -> Any:
            return result(a), made

        return one
    if count == 2:

        @intrinsic
        def two(typing: Any, a: Any, b: Any) -> Any:
            return result(a, b), made

        return two

    @intrinsic
    def three(typing: Any, a: Any, b: Any, c: Any) -> Any:
        return result(a, b, c), made

    return three


def _called(name: str) -> Any:
    """An LLVM function of vectors."""

    def code(builder: Any, *values: Any) -> Any:
        kind = ir.FunctionType(_FLOATS, [_FLOATS] * len(values))
        full = f"llvm.{name}.v{LANES}f32"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, full), values)

    return code


@intrinsic
def splat(typing: Any, value: Any) -> Any:
    """As many times a float32."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first = builder.insert_element(
            ir.Constant(_FLOATS, ir.Undefined), arguments[0], ir.IntType(32)(0)
        )
        return builder.shuffle_vector(first, ir.Constant(_FLOATS, ir.Undefined), _words(0))

    return VECTOR(types.float32), code


def _is_vector(value: Any) -> bool:
    return isinstance(value, _Vector)


def _define(symbol: Any, result: Any, code: Any) -> None:
    """An operator of two vectors, or of one and a float32."""
    both = _of_vectors(result, 2, code)

    @overload(symbol, strict=False, jit_options={"forceinline": True})
    def defined(a: Any, b: Any) -> Any:
        if _is_vector(a) and _is_vector(b):
            return lambda a, b: both(a, b)
        if _is_vector(a) and isinstance(b, types.Float):
            return lambda a, b: both(a, splat(b))
        if _is_vector(b) and isinstance(a, types.Float):
            return lambda a, b: both(splat(a), b)
        return None


_define(operator.add, VECTOR, lambda builder, a, b: builder.fadd(a, b))
_define(operator.sub, VECTOR, lambda builder, a, b: builder.fsub(a, b))
_define(operator.mul, VECTOR, lambda builder, a, b: builder.fmul(a, b))
_define(operator.truediv, VECTOR, lambda builder, a, b: builder.fdiv(a, b))
_define(operator.gt, MASK, lambda builder, a, b: builder.fcmp_ordered(">", a, b))
_define(operator.lt, MASK, lambda builder, a, b: builder.fcmp_ordered("<", a, b))
_define(operator.le, MASK, lambda builder, a, b: builder.fcmp_ordered("<=", a, b))

choose = _of_vectors(VECTOR, 3, lambda builder, mask, a, b: builder.select(mask, a, b))
"""a where the mask is set, else b."""
fma = _of_vectors(VECTOR, 3, _called("fma"))
"""a times b plus c, rounded once."""
magnitude = _of_vectors(VECTOR, 1, _called("fabs"))
smaller = _of_vectors(
    VECTOR, 2, lambda builder, a, b: builder.select(builder.fcmp_ordered("<", a, b), a, b)
)
"""The smaller of two; b where one is no number."""


def _scaled(builder: Any, a: Any, k: Any) -> Any:
    power = builder.shl(builder.bitcast(k, _WORDS), _words(23))
    return builder.bitcast(builder.add(builder.bitcast(a, _WORDS), power), _FLOATS)


times_two_to = _of_vectors(VECTOR, 2, _scaled)
"""a times 2^k, normal; k are whole numbers, to which 1.5 times 2^23 was added."""


@intrinsic
def how_many(typing: Any, mask: Any, among: Any) -> Any:
    """How many of a mask are set, of those whose bits are set in a whole number."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, long = ir.IntType(LANES), ir.IntType(64)
        bits = builder.bitcast(arguments[0], word)
        found = builder.ctpop(builder.and_(bits, builder.trunc(arguments[1], word)))
        return builder.zext(found, long)

    return types.int64(MASK, types.int64), code


def _pointer(builder: Any, address: Any, vector: Any) -> Any:
    return builder.inttoptr(address, vector.as_pointer())


@intrinsic
def ask_for(typing: Any, address: Any, kind: Any) -> Any:
    """Have as many stored values as a vector holds brought to the cache; any address will do."""
    size = 2 if kind.dtype == types.uint16 else 4

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(32)
        for line in range(0, LANES * size, 64):
            there = builder.add(arguments[0], ir.IntType(64)(line))
            pointer = builder.inttoptr(there, ir.IntType(8).as_pointer())
            function = ir.FunctionType(ir.VoidType(), [pointer.type, word, word, word])
            prefetch = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], function)
            builder.call(prefetch, [pointer, word(0), word(2), word(1)])
        return context.get_dummy_value()

    return types.void(types.int64, kind), code


@intrinsic
def load(typing: Any, address: Any, kind: Any) -> Any:
    """Stored values from an address on."""
    is_half = kind.dtype == types.uint16

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if not is_half:
            return builder.load(_pointer(builder, arguments[0], _FLOATS), align=4)
        halves = builder.load(_pointer(builder, arguments[0], _HALVES), align=2)
        return builder.bitcast(builder.shl(builder.zext(halves, _WORDS), _words(16)), _FLOATS)

    return VECTOR(types.int64, kind), code


@intrinsic
def store(typing: Any, address: Any, value: Any, kind: Any) -> Any:
    """Store values; bfloat16 rounds to the nearest, ties to even."""
    is_half = kind.dtype == types.uint16

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, value, _ = arguments
        if not is_half:
            builder.store(value, _pointer(builder, address, _FLOATS), align=4)
            return context.get_dummy_value()
        bits = builder.bitcast(value, _WORDS)
        odd = builder.and_(builder.lshr(bits, _words(16)), _words(1))
        rounded = builder.lshr(builder.add(builder.add(bits, _words(0x7FFF)), odd), _words(16))
        halves = builder.trunc(rounded, _HALVES)
        builder.store(halves, _pointer(builder, address, _HALVES), align=2)
        return context.get_dummy_value()

    return types.void(types.int64, VECTOR, kind), code


@intrinsic
def stream(typing: Any, address: Any, value: Any) -> Any:
    """Store float32 past the caches; the address is a multiple of 64."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        done = builder.store(arguments[1], _pointer(builder, arguments[0], _FLOATS), align=64)
        hint = builder.module.add_metadata([ir.IntType(32)(1)])
        done.set_metadata("nontemporal", hint)
        return context.get_dummy_value()

    return types.void(types.int64, VECTOR), code


@intrinsic
def finish_streams(typing: Any) -> Any:
    """Make what was streamed visible to other threads."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), code
