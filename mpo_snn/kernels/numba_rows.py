"""What a block of neurons has while the compiled loops run: rows of `w`, `BLOCK` values each.

They stay in the first-level cache. A parameter at `address` has the value of the neuron at a place
i of a timestep at i // d % m.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mpo_snn.kernels.numba_memory import ONE, copy, exact, set_to, values_at, within
from mpo_snn.kernels.numba_vectors import load

BLOCK = 512
# Rows of w: seven that are filled from parameters, in this order, three that follow from them, and
# what is worked with.
BETA, THRESHOLD, SLOPE, SCALE, BY_MEAN, BY_M2, MEAN = (BLOCK * i for i in range(7))
GAIN, PEAK, SUPPORT = (BLOCK * i for i in range(7, 10))
POWER, BY_BETA, BY_THRESHOLD = (BLOCK * i for i in range(10, 13))
ROWS = 13
VALUE, LINE = 4, 64
"""Bytes of a float32, and of a line of the cache."""
FLOAT = np.empty(0, np.float32)


@exact
def fill(w: Any, table: Any, place: Any, width: Any) -> None:
    """Rows of parameters, one of each (address, d, m) of a table, for neurons from a place on."""
    for row in range(len(table)):
        address, d, m = table[row, 0], table[row, 1], table[row, 2]
        values = values_at(address, 0, m, w)
        index, left, n = place // d % m, d - place % d, 0
        while n < width:
            length = min(m - index if d == 1 else left, width - n)
            target = values_at(w.ctypes.data, row * BLOCK + n, length, w)
            if d == 1:
                copy(values_at(address, index, length, w), target, length)
                index = 0
            else:
                set_to(target, values[index], length)
                index = index + 1 if index + 1 < m else 0
            left, n = d, n + length


@exact
def fill_gains(w: Any, width: Any, decay: Any) -> None:
    """The row GAIN, what the current is multiplied by: 1 - beta, or 1."""
    for n in range(width):
        w[GAIN + n] = ONE - w[BETA + n] if decay != 0 else ONE


@exact
def varies(table: Any) -> bool:
    """Whether any parameter is not the same for all neurons."""
    largest = 1
    for row in range(len(table)):
        largest = max(largest, table[row, 2])
    return largest > 1


@within
def at(w: Any, row: Any, n: Any) -> Any:
    """As many values of a row of parameters as a vector holds, from the neuron n of a block on.

    w has the address of the rows, and 1; or 0 where all neurons have the same parameters, for which
    the first values of a row stand, so that the others need not be in the cache.
    """
    return load(w[0] + (row + n * w[1]) * VALUE, FLOAT)
