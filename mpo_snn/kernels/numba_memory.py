"""What the compiled loops of the LIF scan stand on: memory by address, types as they are stored.

numba keeps what it compiled beside each file and looks at the age of that file alone: who edits
this one deletes `mpo_snn/kernels/__pycache__`, for the loops in the others have it inlined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

LINE = 64
"""Bytes that the cache takes at once."""
ZERO, ONE = np.float32(0.0), np.float32(1.0)
SIXTEEN, ROUND, BIT = np.uint32(16), np.uint32(0x7FFF), np.uint32(1)
ONE_IN_BFLOAT16 = np.uint16(0x3F80)


def _compiled(fastmath: Any = False) -> Callable[[Any], Any]:
    """Compile at the first call; kept on disk for the next process where that can be written."""

    def decorate(function: Any) -> Any:
        options = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:
            return numba.njit(**options)(function)

    return decorate


exact = _compiled()
quick = _compiled({"contract", "nsz", "arcp", "reassoc"})


@intrinsic
def _pointer(typing: Any, address: Any, like: Any) -> Any:
    """An address as a pointer to values of the type of an array."""
    pointer = types.CPointer(like.dtype)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(types.int64, like), code


@intrinsic
def _prefetch_line(typing: Any, address: Any) -> Any:
    """Ask for a line of the cache ahead of time; any address will do."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        of_32_bits = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, *[of_32_bits] * 3])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
        builder.call(prefetch, [pointer, *(of_32_bits(value) for value in (0, 2, 1))])
        return context.get_dummy_value()

    return types.void(types.int64), code


@exact
def prefetch(address: Any, start: Any, width: Any, kind: Any) -> None:
    """Ask for what the next block reads or writes, into the second-level cache."""
    first = address + start * kind.itemsize
    for line in range(first, first + width * kind.itemsize, LINE):
        _prefetch_line(line)


@exact
def values_at(address: Any, start: Any, width: Any, kind: Any) -> Any:
    """The `width` values from place `start` on of what lies at an address."""
    return numba.carray(_pointer(address + start * kind.itemsize, kind), width)


def read(x: Any, n: Any) -> Any:
    """A stored value as float32."""


def write(x: Any, n: Any, value: Any) -> None:
    """Store a float32; bfloat16 rounds to the nearest, ties to even."""


def write_spike(x: Any, n: Any, fired: Any) -> None:
    """Store 1 or 0."""


@overload(read, strict=False)
def _read_as(x: Any, n: Any) -> Any:
    if x.dtype == types.uint16:
        return lambda x, n: np.uint32(np.uint32(x[n]) << SIXTEEN).view(np.float32)
    return lambda x, n: x[n]


@overload(write, strict=False)
def _write_as(x: Any, n: Any, value: Any) -> Any:
    if x.dtype == types.uint16:

        def half(x: Any, n: Any, value: Any) -> None:
            bits = np.float32(value).view(np.uint32)
            odd = np.uint32(np.uint32(bits >> SIXTEEN) & BIT)
            rounded = np.uint32(np.uint32(bits + ROUND) + odd)
            x[n] = np.uint16(np.uint32(rounded >> SIXTEEN))

        return half

    def keep(x: Any, n: Any, value: Any) -> None:
        x[n] = value

    return keep


@overload(write_spike, strict=False)
def _write_spike_as(x: Any, n: Any, fired: Any) -> Any:
    if x.dtype == types.uint16:

        def half(x: Any, n: Any, fired: Any) -> None:
            x[n] = ONE_IN_BFLOAT16 if fired else np.uint16(0)

        return half

    def keep(x: Any, n: Any, fired: Any) -> None:
        x[n] = ONE if fired else ZERO

    return keep


@exact
def set_to(target: Any, value: Any, width: Any) -> None:
    """Put one value everywhere."""
    for n in range(width):
        target[n] = value


@exact
def copy(source: Any, target: Any, width: Any) -> None:
    """Copy values."""
    for n in range(width):
        target[n] = source[n]
