"""Every network in a small size, with samples that suit it and batchnorms that have seen them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mpo_snn.encoding import encode
from mpo_snn.networks import build_network, network_names
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.settings import NeuronSettings
from mpo_snn.unroll import Unrolled

CLASSES = 5


@dataclass(frozen=True)
class Case:
    """A network that is small enough for a test."""

    name: str
    input_shape: tuple[int, ...] = (3, 32, 32)
    channel_scale: float = 1 / 8
    timesteps: int = 4
    batch: int = 2

    def build(self, neuron: NeuronSettings | None = None, **settings: Any) -> nn.Module:
        torch.manual_seed(0)
        chosen = NetworkSettings(self.name, channel_scale=self.channel_scale, **settings)
        return build_network(chosen, neuron or NeuronSettings(), self.input_shape, CLASSES)

    def noise(self) -> Tensor:
        """Pixels that know nothing of each other, in [0, 1]."""
        generator = torch.Generator().manual_seed(1)
        return torch.rand(self.batch, *self.input_shape, generator=generator)

    def pictures(self) -> Tensor:
        """Pixels with a spectrum like that of photographs: noise at four scales, in [0, 1]."""
        generator = torch.Generator().manual_seed(2)
        channels, height, width = self.input_shape
        scales = [
            functional.interpolate(
                torch.rand(self.batch, channels, height // k, width // k, generator=generator),
                (height, width),
                mode="bilinear",
            )
            for k in (16, 8, 4, 2)
        ]
        return torch.stack(scales).mean(0)

    def settled(self, neuron: NeuronSettings | None = None, **settings: Any) -> nn.Module:
        """In eval mode, with the statistics of `pictures` in every batchnorm."""
        network = self.build(neuron, **settings)
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        with torch.no_grad():
            Unrolled(network, self.timesteps)(encode(self.pictures(), self.timesteps))
        return network.eval()


CASES = {name: Case(name) for name in network_names()} | {
    "resnet34": Case("resnet34", (3, 224, 224), channel_scale=1 / 16, timesteps=2)
}
