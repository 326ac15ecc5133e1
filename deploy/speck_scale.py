r"""One scale for a layer of Speck: all of its numbers share it (sinabs, ``discretize.py``).

.. math::
    k = \min(s_8(W),\; s_8(b),\; s_{16}(\{\text{lower}, \theta\})), \qquad
    s_b(x) = \begin{cases} (2^{b-1} - 1) / \max x \\ 2^{b-1} / |\min x|
    & \text{where the negative side binds} \end{cases}

then every number is multiplied by k and rounded, halves to the even one. All of it in float32, as
the vendor's tool has it, so that the same numbers fall on the same side of a half.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Bits:
    """Formats of a chip: signed weights, biases and states."""

    weight: int = 8
    bias: int = 8
    state: int = 16


@dataclass(frozen=True)
class Scale:
    """Units of the chip for one unit of the layer's membrane.

    Attributes:
        factor: > 0.
        bound_by: which number fills its format: `weights`, `bias`, `threshold` or `lower`.
    """

    factor: float
    bound_by: str


def scale_of(values: Tensor, bits: int) -> float:
    """By how much values may be multiplied to fill a signed format; infinite for zeros."""
    values = values.to(torch.float32)
    most, least = 2 ** (bits - 1) - 1, -(2 ** (bits - 1))
    high, low = values.max(), values.min()
    binding = abs(most / high) if abs(low) <= abs(high) * abs(least / most) else abs(least / low)
    return float(binding)


def layer_scale(
    weight: Tensor, bias: Tensor, threshold: float, lower: float, bits: Bits | None = None
) -> Scale:
    """The largest scale at which everything fits."""
    bits = bits or Bits()
    both = torch.tensor((lower, threshold))
    is_lower = scale_of(both[:1], bits.state) < scale_of(both[1:], bits.state)
    scales = {
        "weights": scale_of(weight, bits.weight),
        "bias": scale_of(bias, bits.bias),
        "lower" if is_lower else "threshold": scale_of(both, bits.state),
    }
    bound_by = min(scales, key=lambda key: scales[key])
    return Scale(scales[bound_by], bound_by)


def scaled(values: Tensor, scale: Scale) -> Tensor:
    """Whole numbers, int64."""
    product = values.to(torch.float32) * torch.tensor(scale.factor, dtype=torch.float32)
    return product.round().to(torch.int64)
