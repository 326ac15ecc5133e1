"""Kernels of convolutions with groups, dilation and margins written out as zeros."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def ungrouped(weight: Array, groups: int) -> Array:
    """The kernel of one group that does what those of `groups` do: blocks of zeros between them.

    Args:
        weight: (out, in / groups, *kernel).
        groups: independent groups of channels, a divisor of `out`.

    Returns:
        (out, in, *kernel); the argument itself where there is one group.
    """
    if groups == 1:
        return weight
    out, inner, *kernel = weight.shape
    full = np.zeros((out, inner * groups, *kernel))
    rows = out // groups
    for group in range(groups):
        block = slice(group * rows, (group + 1) * rows)
        full[block, group * inner : (group + 1) * inner] = weight[block]
    return full


def undilated(weight: Array, dilation: tuple[int, ...]) -> Array:
    """The kernel without dilation that does what one with it does: zeros between its elements.

    Args:
        weight: (out, in, *kernel).
        dilation: distance between two elements, one for each axis of the kernel.

    Returns:
        the larger kernel; the argument itself where there is no dilation.
    """
    if set(dilation) == {1}:
        return weight
    out, inner, *kernel = weight.shape
    sides = (step * (side - 1) + 1 for step, side in zip(dilation, kernel, strict=True))
    full = np.zeros((out, inner, *sides))
    full[tuple(slice(None, None, step) for step in (1, 1, *dilation))] = weight
    return full


def centred(
    weight: Array, padding: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[Array, tuple[int, ...]] | None:
    """A kernel in the middle of a square of zeros, and its padding; None if it has no middle.

    Args:
        weight: (out, in, *kernel); given back as it is where the kernel is square.
        padding: zeros on either side of each axis.
        dilation: distance between two elements, on each axis.
    """
    kernel = weight.shape[2:]
    side = max(kernel)
    if any((side - k) % 2 for k in kernel):
        return None
    if all(k == side for k in kernel):
        return weight, padding
    margins = [(side - k) // 2 for k in kernel]
    grown = tuple(p + m * dil for p, m, dil in zip(padding, margins, dilation, strict=True))
    return np.pad(weight, [(0, 0), (0, 0), *((m, m) for m in margins)]), grown
