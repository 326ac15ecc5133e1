"""In which order values lie in memory: kept from a convolution to the neurons behind it.

Convolutions on the CPU are fastest where the channels of a pixel lie one after another (channels
last), and neurons do not mind. Values keep their shape [T, B, *features] whatever the order.
"""

from __future__ import annotations

import torch
from torch import Tensor


def features_in_memory(x: Tensor) -> tuple[int, ...]:
    """The axes of the features of [T, B, *features], outermost first; as they stand in a tie."""
    strides = x.stride()
    return tuple(sorted(range(2, x.ndim), key=lambda axis: (-strides[axis], axis)))


def laid_out(x: Tensor, order: tuple[int, ...], leading: int = 2) -> Tensor:
    """A view of x with its features in this order of axes (`features_in_memory` of [T, B, ...])."""
    return x.permute(*range(leading), *(axis - 2 + leading for axis in order))


def moved(v: Tensor, order: tuple[int, ...], leading: int, *, is_zero: bool = False) -> Tensor:
    """Values [..., *features] that lie in this order: v itself, or a copy, if not zeros."""
    here = laid_out(v, order, leading)
    if here.is_contiguous():
        return v
    there = here.new_zeros(here.shape) if is_zero else here.contiguous()
    return laid_out_back(there, order, leading)


def laid_out_back(x: Tensor, order: tuple[int, ...], leading: int = 2) -> Tensor:
    """A view of what lies in an order of axes with these where they belong again."""
    back = sorted(range(len(order)), key=order.__getitem__)
    return x.permute(*range(leading), *(place + leading for place in back))


def empty_steps(x: Tensor, timesteps: int, dtype: torch.dtype) -> Tensor:
    """Room for values of so many steps, their features in the order in which those of x lie.

    Args:
        x: [T or 1, B, *features].
        timesteps: T.
        dtype: of the room.
    """
    order = features_in_memory(x)
    sizes = (timesteps, x.shape[1], *(x.shape[axis] for axis in order))
    return laid_out_back(torch.empty(sizes, dtype=dtype, device=x.device), order)
