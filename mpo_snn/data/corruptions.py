r"""Noise on images, Gaussian or salt and pepper; a function of (seed, level, sample, place) alone.

With lo and hi the smallest and largest value of each channel over the data set (0 and 1 for plain
images, something else for normalised ones),

.. math::
    x' = \mathrm{clip}\big(x + \sigma\,(\text{hi} - \text{lo})\, n,\ \text{lo},\ \text{hi}\big),
    \qquad n \sim N(0, 1)

and salt and pepper sets a share p of the pixels, in all their channels, to lo or hi, each with
probability one half. So a level means the same on normalised images as on plain ones. Both stay
within the range of the data: clipped noise is weaker than :math:`\sigma` says where images are
dark or bright.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import torch
from torch import Tensor

from mpo_snn.training.randomness import derived_seed, draws_by_sample

Corruption = Literal["gaussian", "salt_and_pepper"]
SMALLEST = 2.0**-54
"""In place of a draw of 0, whose normal deviate would be infinite; others are at least 2^-53."""


@dataclass(frozen=True)
class DataRange:
    """Smallest and largest value of each channel.

    Attributes:
        low: (channels, 1, 1).
        high: (channels, 1, 1).
    """

    low: Tensor
    high: Tensor


def data_range(x: Tensor) -> DataRange:
    """Range of samples (N, channels, height, width); a time axis may come after N."""
    by_channel = x.transpose(-3, 0).flatten(1)
    low, high = by_channel.aminmax(dim=1)
    return DataRange(low.reshape(-1, 1, 1), high.reshape(-1, 1, 1))


def range_over(parts: Iterable[Tensor]) -> DataRange:
    """Range of all batches of a data set, each held no longer than it takes to look at it.

    Args:
        parts: at least one, each of samples as `data_range` takes them.
    """
    return reduce(_joint, map(data_range, parts))


def _joint(a: DataRange, b: DataRange) -> DataRange:
    return DataRange(torch.minimum(a.low, b.low), torch.maximum(a.high, b.high))


def corrupt(
    x: Tensor, kind: Corruption, level: float, within: DataRange, seed: int, first: int = 0
) -> Tensor:
    """Samples with noise, of the shape of x; x is not changed.

    Args:
        x: samples, (batch, channels, height, width), or (batch, time, channels, height, width).
        kind: which noise.
        level: sigma as a share of the range, >= 0, or the share p of pixels, in [0, 1].
        within: range of the data, which the noise does not leave.
        seed: of the noise.
        first: index of the first of these samples within the data set; any batch gives a sample
            the same noise.
    """
    place = derived_seed(seed, f"{kind}/{level:g}")
    if kind == "gaussian":
        draw = draws_by_sample(place, first, x.shape).clamp_(min=SMALLEST)
        noise = torch.special.ndtri(draw, out=draw).to(x.dtype)
        noisy = x + level * (within.high - within.low) * noise
        return torch.maximum(torch.minimum(noisy, within.high), within.low)
    draw = draws_by_sample(place, first, (*x.shape[:-3], 1, *x.shape[-2:]))
    pepper, salt = draw < level / 2, (draw >= level / 2) & (draw < level)
    return torch.where(pepper, within.low, torch.where(salt, within.high, x))
