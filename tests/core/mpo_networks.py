"""Small networks and settings on which the method is tried."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mpo_snn.leaky import MPOLeaky
from mpo_snn.mpo import MPO
from mpo_snn.settings import MPOSettings
from mpo_snn.unroll import Unrolled


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def only(**parts: Any) -> MPOSettings:
    """Settings with every part of the method off but those named."""
    off: dict[str, Any] = {
        "adapt_width": False,
        "width_follows": "spread",
        "width_scale": 1.0,
        "width_scale_end": None,
        "height": "off",
        "neuron_gain": False,
        "lambda_dist": 0.0,
        "lambda_width": 0.0,
    }
    return MPOSettings(**{**off, **parts})


def pass_through(**kwargs: Any) -> nn.Sequential:
    """A network whose membrane is its input: no leak, no reset, no weights."""
    kwargs = {"threshold": 1.0, "reset": "none", "input_gain": "unit", "init_hidden": True} | kwargs
    return nn.Sequential(MPOLeaky(0.0, **kwargs))


class TwoLayers(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.fc1 = nn.Linear(6, 8)
        self.lif1 = MPOLeaky(0.8, 0.5, learn_beta=True, init_hidden=True)
        self.fc2 = nn.Linear(8, 5)
        self.lif2 = MPOLeaky(0.5, 0.3, init_hidden=True)
        self.out = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.lif2(self.fc2(self.lif1(self.fc1(x)))))  # type: ignore[no-any-return]


def train_a_little(network: TwoLayers, mpo: MPO, steps: int = 4) -> None:
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    run = Unrolled(network, 3)
    for step in range(steps):
        loss = run(normal(3, 7, 6, seed=step)).square().mean() + mpo.regularizer()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        mpo.step()


def channels(seed: int = 0) -> Tensor:
    """One timestep of (batch, channel, height, width), every channel with another spread."""
    return normal(1, 8, 3, 2, 2, seed=seed) * torch.tensor([0.2, 1.0, 3.0]).reshape(3, 1, 1)
