"""The scale c of the width over a training run."""

from __future__ import annotations

import math
from dataclasses import replace
from numbers import Real

import torch
from torch import Tensor

from mpo_snn.device_constants import once
from mpo_snn.errors import MpoError
from mpo_snn.settings import MPOSettings

LEAST_AT_DEPTH = 0.2
"""c of shallow networks at the end of the training."""
MOST_GROWTH = 10.0
"""Of the norm of a gradient, from the last layer of neurons to the first."""
KEEPS_THE_NORM = 2.0 * math.sqrt(math.pi / 6.0) / 3.0
"""c at which it stays what it is in every layer: 0.48, by `mpo_snn.gradient_growth`."""


def scale_at_depth(layers: int) -> float:
    r"""The c with which gradients grow tenfold at most from the last layer to the first.

    A layer multiplies their norm by :math:`\sqrt{0.48 / c}` (`mpo_snn.gradient_growth`), so that

    .. math:: c = \max(0.2,\; 0.48 \cdot 10^{-2 / (L - 1)})

    which is 0.2 up to L = 6, 0.25 at 8, 0.35 at 15, 0.37 at 18 and 0.42 at 33 layers.

    Args:
        layers: L, layers of neurons, one behind the other.
    """
    hops = max(1, layers - 1)
    return max(LEAST_AT_DEPTH, KEEPS_THE_NORM / math.pow(MOST_GROWTH, 2.0 / hops))


def at_depth(settings: MPOSettings, layers: int) -> MPOSettings:
    """The settings with a number where they say `depth`.

    Args:
        settings: of the method.
        layers: of neurons in the network.
    """
    c, start, end = scale_at_depth(layers), settings.width_scale, settings.width_scale_end
    return replace(
        settings,
        width_scale=c if start == "depth" else start,
        width_scale_end=c if end == "depth" else end,
    )


def width_scale_at(progress: float, settings: MPOSettings) -> float:
    r"""The scale c when a share p of the training is done: constant, or along a half cosine.

    .. math:: c = c_\text{end} + (c_0 - c_\text{end}) (1 + \cos \pi p) / 2
    """
    start, end = settings.width_scale, settings.width_scale_end
    assert start != "depth" and end != "depth", "`at_depth` comes first"
    if end is None:
        return start
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * progress))


class WidthScale:
    """The scale c of now, as a number and on the device.

    A step that was recorded as a CUDA graph knows no number that moves, but it reads a tensor anew
    every time.

    Args:
        settings: how c moves.
    """

    def __init__(self, settings: MPOSettings) -> None:
        """Stand at the start of the training."""
        self._settings = settings
        self._progress = 0.0
        self._kept: dict[tuple[torch.dtype, torch.device], Tensor] = {}

    @property
    def progress(self) -> float:
        """Share of the training that is done, 0 to 1.

        Raises:
            MpoError: if it is to be something else; it stays what it was.
        """
        return self._progress

    @progress.setter
    def progress(self, share: float) -> None:
        if not isinstance(share, Real) or not 0.0 <= share <= 1.0:
            raise MpoError(
                f"MPO: progress is {share}, allowed is 0 to 1: the share of the training that is"
                " done, e.g. step / steps."
            )
        self._progress = float(share)
        for value in self._kept.values():
            value.fill_(self.value)

    @property
    def value(self) -> float:
        """C as a number."""
        return width_scale_at(self._progress, self._settings)

    def beside(self, width: Tensor) -> Tensor:
        """C, 0-d, where a width lies, in its precision or float32.

        A copy: a backward pass that is still to come holds it, and c may move before.
        """
        dtype, device = torch.promote_types(width.dtype, torch.float32), width.device
        value = once(
            self._kept,
            (dtype, device),
            lambda: torch.full((), self.value, dtype=dtype, device=device),
        )
        return value.clone()
