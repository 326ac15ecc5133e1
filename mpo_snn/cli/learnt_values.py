"""An untrained network as training may leave it, so that what it learns is checked beforehand."""

from __future__ import annotations

import torch
from torch import nn

from mpo_snn.neurons import MPONeuron

LOWEST = 0.9
"""Of the factors that values per channel are given."""
ONE = 0.95
"""The factor of a value that a whole layer learns."""
BIAS = 0.01
"""What every bias is given; untrained ones, and those that batchnorm folds into, are 0."""


@torch.no_grad()
def spread_learnt_values(network: nn.Module) -> None:
    """Move leaks and thresholds that are learnt, and all biases, as training will.

    Values per channel become different ones, a value that a layer learns leaves where it began.
    """
    for module in network.modules():
        if isinstance(module, MPONeuron):
            for name in ("alpha", "beta", "threshold"):
                value = getattr(module, name, None)
                if isinstance(value, torch.Tensor) and value.numel() > 1:
                    value.mul_(torch.linspace(LOWEST, 1.0, value.numel()).to(value))
                elif isinstance(value, nn.Parameter):
                    value.mul_(ONE)
        bias = getattr(module, "bias", None)
        if isinstance(bias, torch.Tensor):
            bias.add_(BIAS)
