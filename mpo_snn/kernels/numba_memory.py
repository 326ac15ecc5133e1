"""What the compiled loops of the LIF scan stand on: how they are compiled, memory by address.

numba keeps what it compiled beside each file and looks at the age of that file alone: who edits
this one deletes `mpo_snn/kernels/__pycache__`, for the loops in the others have it inlined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

ZERO, ONE = np.float32(0.0), np.float32(1.0)


def _compiled(fastmath: Any = False, inside: bool = False) -> Callable[[Any], Any]:
    """Compile at the first call; kept on disk for the next process where that can be written."""

    def decorate(function: Any) -> Any:
        options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
        if inside:
            return numba.njit(forceinline=True, **options)(function)
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:
            return numba.njit(**options)(function)

    return decorate


_QUICK = {"contract", "nsz", "arcp", "reassoc"}
exact, quick = _compiled(), _compiled(_QUICK)
within, within_quick = _compiled(inside=True), _compiled(_QUICK, inside=True)
"""Put into every place that calls them, where constant arguments are known."""


@intrinsic
def _pointer(typing: Any, address: Any, like: Any) -> Any:
    """An address as a pointer to values of the type of an array."""
    pointer = types.CPointer(like.dtype)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(types.int64, like), code


@exact
def values_at(address: Any, start: Any, width: Any, kind: Any) -> Any:
    """The `width` values from place `start` on of what lies at an address."""
    return numba.carray(_pointer(address + start * kind.itemsize, kind), width)


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


@exact
def keep(array: Any) -> None:
    """Hold an array of a compiled function until here.

    numba frees one behind the line that names it last, whoever still works with its address.
    """
