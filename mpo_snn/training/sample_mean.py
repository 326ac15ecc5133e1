"""A mean over samples, on any number of processes.

Lightning's means divide by whole numbers of samples that are averaged over the processes, rounded
down; torchmetrics' MeanMetric looks for NaN at every step, which waits for the GPU, and without
that takes all weights for 1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpo_snn.operators import declare_torchvision_operators

declare_torchvision_operators()

from torchmetrics import Metric  # noqa: E402


class SampleMean(Metric):
    """Mean of the values of batches, each with the weight of its samples."""

    total: Tensor
    samples: Tensor

    def __init__(self) -> None:
        """Start at nothing."""
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("samples", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, value: Tensor, samples: int) -> None:
        """Add the mean of a batch, 0-d, and how many samples it has."""
        self.total = self.total + value * samples
        self.samples = self.samples + samples

    def compute(self) -> Any:
        """The mean, 0-d."""
        return self.total / self.samples
