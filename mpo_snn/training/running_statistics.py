"""Running statistics of batchnorm that do not remember how they were initialised.

Torch starts them at mean 0 and variance 1, and after n steps of momentum 0.1 a share of 0.9^n of
that is still there: in a short run, layers that fire in training are silent in evaluation. At step
n (from 0) the momentum is therefore max(1/(n + 1), own): the plain mean of all steps so far at
first, torch's moving average from then on.

Where several processes train, those that normalise by their own samples alone (no SyncBatchNorm)
differ in their running statistics; before anything is measured, all take the mean.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mpo_snn.processes import processes, summed


class RunningStatistics:
    """Sets the momentum of every batchnorm of a network, step by step.

    Args:
        network: any module; layers that average over everything (momentum None) are left alone.
    """

    def __init__(self, network: nn.Module) -> None:
        """Remember the momentum that each layer was built with."""
        self._own = {
            layer: layer.momentum
            for layer in network.modules()
            if isinstance(layer, _BatchNorm) and layer.momentum is not None
        }

    def before_step(self, step: int) -> None:
        """Set the momentum of step `step`, counted from 0."""
        for layer, own in self._own.items():
            layer.momentum = max(own, 1.0 / (step + 1))

    def is_steady(self, step: int) -> bool:
        """Whether every momentum is that of torch from step `step` on."""
        return all(own >= 1.0 / (step + 1) for own in self._own.values())

    @torch.no_grad()
    def share(self) -> None:
        """Take the mean over all processes, each of which calls this."""
        if processes() == 1:
            return
        for layer in self._own:
            for values in (layer.running_mean, layer.running_var):
                if values is not None and not isinstance(layer, nn.SyncBatchNorm):
                    values.copy_(summed(values) / processes())
