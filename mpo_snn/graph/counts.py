"""Spikes of one node, added up while they pass: whole numbers, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .fan_out import FanOut
from .layout import features_in_memory, laid_out, moved

EXACT = 2**24
"""Up to here float32 has every whole number."""


@dataclass
class Counts:
    """Sums, changed in place.

    Attributes:
        of_neurons: spikes over time and samples, float64, shape [*features].
        of_samples: spikes over time and neurons, float64, shape [B].
        fan_out: what a spike of each neuron counts for in each of K other sums.
        driven: these sums over time and neurons, float64, [B, K].
        is_zero: whether nothing was counted yet.
    """

    of_neurons: Tensor
    of_samples: Tensor
    fan_out: FanOut
    driven: Tensor
    is_zero: bool = True

    @staticmethod
    def zeros(
        shape: tuple[int, ...], batch: int, device: torch.device, fan_out: FanOut | None = None
    ) -> Counts:
        """No spike yet of neurons of this shape; without a fan-out, K is 0."""
        like: dict[str, Any] = {"dtype": torch.float64, "device": device}
        each = FanOut.none(shape, device) if fan_out is None else fan_out
        driven = torch.zeros(batch, len(each), **like)
        return Counts(torch.zeros(shape, **like), torch.zeros(batch, **like), each, driven)

    def line(self, order: tuple[int, ...]) -> Tensor:
        """`of_neurons` to be added to, one after another as spikes lie in memory (`layout`)."""
        self.of_neurons = moved(self.of_neurons, order, leading=0, is_zero=self.is_zero)
        self.is_zero = False
        return laid_out(self.of_neurons, order, leading=0).view(-1)

    def add(self, spk: Tensor, repeats: int = 1) -> None:
        """Count spikes [T, B, *features] of 0 and 1, each for so many timesteps.

        A sum over rows and a product with ones read them several times faster than sums in
        float64, where no partial sum can be more than float32 holds.
        """
        batch, order = spk.shape[1], features_in_memory(spk)
        steps = laid_out(spk, order).flatten(2)
        if len(self.fan_out):  # of each neuron and sample, small beside all steps
            steps = steps.sum(0, keepdim=True)
        rows = steps.flatten(0, 1)
        if max(rows.shape) > EXACT:
            of_rows = rows.sum(1, dtype=torch.float64)
            of_neurons = rows.sum(0, dtype=torch.float64)
        else:
            of_rows, of_neurons = rows.sum(1), rows.new_ones(len(rows)) @ rows
        of_samples = of_rows.reshape(-1, batch).sum(0, dtype=torch.float64)
        self.line(order).add_(of_neurons, alpha=repeats)
        self.of_samples.add_(of_samples, alpha=repeats)
        if len(self.fan_out):
            self.driven.add_(rows.double() @ self.fan_out.lines(order).T, alpha=repeats)
