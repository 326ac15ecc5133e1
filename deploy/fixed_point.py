r"""Integer arithmetic of chips, on int64 tensors of any shape.

Registers are narrower than int64, and nothing here overflows it: every operation takes values of
at most 48 bits.
"""

from __future__ import annotations

import torch
from torch import Tensor


def limits(bits: int) -> tuple[int, int]:
    """Lowest and highest value of a signed register."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def saturate(x: Tensor, bits: int) -> Tensor:
    """Clamp to a signed register."""
    return x.clamp(*limits(bits))


def wrap(x: Tensor, bits: int) -> Tensor:
    """Two's complement: what is left of x in a signed register of so many bits."""
    half = 1 << (bits - 1)
    return ((x + half) & ((1 << bits) - 1)) - half


def shift_floor(x: Tensor, places: int | Tensor) -> Tensor:
    """Arithmetic shift to the right: towards minus infinity."""
    return x >> places


def shift_to_zero(x: Tensor, places: int | Tensor) -> Tensor:
    r"""Shift of the magnitude: :math:`\text{sign}(x) \cdot (|x| \gg n)`, towards zero."""
    return x.sign() * (x.abs() >> places)


def round_half_even(x: Tensor) -> Tensor:
    """Real values to the nearest whole number, halves to the even one."""
    return x.round().to(torch.int64)


def matmul_exact(a: Tensor, b: Tensor) -> Tensor:
    """Product of whole numbers, exact while its partial sums stay below 2^53."""
    return (a.double() @ b.double()).to(torch.int64)
