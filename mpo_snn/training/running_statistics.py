"""Running statistics of batchnorm that do not remember how they were initialised.

Torch starts them at mean 0 and variance 1, and after n steps of momentum 0.1 a share of 0.9^n of
that is still there: in a short run, layers that fire in training are silent in evaluation. At
update n (from 0) the momentum is therefore max(1/(n + 1), own): the plain mean of all updates so
far at first, torch's moving average from then on. An update is a step of the training or, where
each timestep is normalised by itself, one of its timesteps.

Where several processes train, those that normalise by their own samples alone (no SyncBatchNorm)
differ in their running statistics; before anything is measured, all take the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mpo_snn.processes import processes, summed


@dataclass
class _Momentum:
    """The momentum that a layer was built with, and how often it has been updated."""

    own: float
    updates: int = 0

    def now(self) -> float:
        """That of the next update."""
        return max(self.own, 1.0 / (self.updates + 1))

    def before_forward(self, layer: nn.Module, _: Any) -> None:
        """Set it for what may be one of several updates in a step."""
        if layer.training:
            layer.momentum = self.now()  # type: ignore[assignment]
            self.updates += 1


class RunningStatistics:
    """Sets the momentum of every batchnorm of a network, update by update.

    Args:
        network: any module; layers that average over everything (momentum None) are left alone.
    """

    def __init__(self, network: nn.Module) -> None:
        """Remember the momentum that each layer was built with."""
        self._momenta = {
            layer: _Momentum(layer.momentum)
            for layer in network.modules()
            if isinstance(layer, _BatchNorm) and layer.momentum is not None
        }
        for layer, momentum in self._momenta.items():
            layer.register_forward_pre_hook(momentum.before_forward)

    def before_step(self, updates: int) -> None:
        """Set the momentum of a step, from how many updates of each layer came before it."""
        for layer, momentum in self._momenta.items():
            momentum.updates = updates
            layer.momentum = momentum.now()

    def is_steady(self, updates: int) -> bool:
        """Whether every momentum is that of torch after so many updates."""
        return all(one.own >= 1.0 / (updates + 1) for one in self._momenta.values())

    @torch.no_grad()
    def share(self) -> None:
        """Take the mean over all processes, each of which calls this."""
        if processes() == 1:
            return
        for layer in self._momenta:
            for values in (layer.running_mean, layer.running_var):
                if values is not None and not isinstance(layer, nn.SyncBatchNorm):
                    values.copy_(summed(values) / processes())
