"""The scale c of the width over a training run."""

from __future__ import annotations

import math
from numbers import Real

import torch
from torch import Tensor

from mpo_snn.device_constants import once
from mpo_snn.errors import MpoError
from mpo_snn.settings import MPOSettings


def width_scale_at(progress: float, settings: MPOSettings) -> float:
    r"""The scale c when a share p of the training is done: constant, or along a half cosine.

    .. math:: c = c_\text{end} + (c_0 - c_\text{end}) (1 + \cos \pi p) / 2
    """
    start, end = settings.width_scale, settings.width_scale_end
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
