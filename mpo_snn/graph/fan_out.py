"""What a spike of each neuron counts for, in sums asked for beside the number of spikes."""

from __future__ import annotations

import torch
from torch import Tensor

from .layout import laid_out


class FanOut:
    """Whole numbers for each neuron of a node, made ready once for all runs.

    Args:
        values: for each of K sums, [K, *features].
    """

    def __init__(self, values: Tensor) -> None:
        """Keep them, exact up to 2^53."""
        self.values = values.double()
        self._lines: dict[tuple[int, ...], Tensor] = {}
        self._whole: dict[tuple[int, ...], Tensor] = {}

    @staticmethod
    def none(shape: tuple[int, ...], device: torch.device) -> FanOut:
        """No sum of neurons of this shape."""
        return FanOut(torch.zeros(0, *shape, device=device))

    def __len__(self) -> int:
        """K."""
        return len(self.values)

    def lines(self, order: tuple[int, ...]) -> Tensor:
        """[K, neurons], float64, the neurons as spikes lie in memory (`layout`)."""
        if order not in self._lines:
            self._lines[order] = laid_out(self.values, order, leading=1).flatten(1).contiguous()
        return self._lines[order]

    def whole(self, order: tuple[int, ...]) -> Tensor:
        """The same as integers, of 32 bits where they fit: half the memory to read."""
        if order not in self._whole:
            lines = self.lines(order)
            fits = bool((lines.abs() < 2**31).all())
            self._whole[order] = lines.to(torch.int32 if fits else torch.int64)
        return self._whole[order]
