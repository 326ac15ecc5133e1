"""The scale c of the width over a training run."""

from __future__ import annotations

import math

import torch
from torch import Tensor

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
        self._on_device: Tensor | None = None

    @property
    def progress(self) -> float:
        """Share of the training that is done, 0 to 1."""
        return self._progress

    @progress.setter
    def progress(self, share: float) -> None:
        self._progress = share
        if self._on_device is not None:
            self._on_device.fill_(self.value)

    @property
    def value(self) -> float:
        """C as a number."""
        return width_scale_at(self._progress, self._settings)

    def beside(self, width: Tensor) -> Tensor:
        """C, 0-d, where a width lies and in its precision.

        A copy: a backward pass that is still to come holds it, and c may move before.
        """
        kept = self._on_device
        if kept is None or (kept.dtype, kept.device) != (width.dtype, width.device):
            kept = torch.full((), self.value, dtype=width.dtype, device=width.device)
            self._on_device = kept
        return kept.clone()
