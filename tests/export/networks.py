"""Small one-timestep networks that fire, for the tests of export."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mpo_snn.encoding import encode
from mpo_snn.leaky import MPOLeaky
from mpo_snn.neurons import MPONeuron
from mpo_snn.synaptic import MPOSynaptic
from mpo_snn.unroll import Unrolled

T = 6


def lif(**settings) -> MPONeuron:
    """`alpha` makes it synaptic."""
    defaults = {"beta": 0.6, "threshold": 0.3, "init_hidden": True}
    beta, threshold, *_ = {**defaults, **settings}.values()
    rest = {k: v for k, v in {**defaults, **settings}.items() if k not in ("beta", "threshold")}
    if "alpha" in rest:
        return MPOSynaptic(beta=beta, threshold=threshold, **rest)
    return MPOLeaky(beta, threshold, **rest)


class ConvNet(nn.Module):
    """Batchnorm, dropout, average pooling, per-channel threshold, dense read-out."""

    input_shape = (2, 6, 6)

    def __init__(self, **neuron) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.lif1 = lif(**neuron)
        self.pool = nn.AvgPool2d(2)
        self.conv2 = nn.Conv2d(4, 6, 3, padding=1, stride=2)
        self.bn2 = nn.BatchNorm2d(6)
        self.lif2 = lif(**{"threshold": torch.linspace(0.2, 0.5, 6), **neuron})
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(6 * 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.lif1(self.bn1(self.conv1(x))))
        x = self.lif2(self.bn2(self.conv2(x)))
        return self.fc(self.drop(x.flatten(1)))


class Residual(nn.Module):
    """Currents add in front of the neuron; a skip straight from spikes and one through 1x1."""

    input_shape = (3, 4, 4)

    def __init__(self, **neuron) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.lif0 = lif(**neuron)
        self.conv1 = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.bn1 = nn.BatchNorm2d(4)
        self.lif1 = lif(**neuron)
        self.conv2 = nn.Conv2d(4, 4, (1, 3), padding=(0, 1))
        self.skip = nn.Conv2d(4, 4, 1, bias=False)
        self.lif2 = lif(**neuron)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        a = self.lif0(self.stem(x))
        b = self.lif1(self.bn1(self.conv1(a)) + a)
        c = self.lif2(self.conv2(b) + self.skip(a) + b)
        return self.fc(torch.flatten(self.pool(c) * 2.0, 1))


class Dense(nn.Module):
    """States passed by hand, as snnTorch networks do."""

    input_shape = (7,)

    def __init__(self, **neuron) -> None:
        super().__init__()
        self.fc1 = nn.Linear(7, 12)
        self.lif1 = lif(**{**neuron, "init_hidden": False})
        self.fc2 = nn.Linear(12, 4)
        self.lif2 = lif(**{**neuron, "init_hidden": False})

    def forward(self, x: Tensor, mem1: Tensor, mem2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
        return spk2, mem1, mem2


class Synaptic(nn.Module):
    """Synaptic neurons, one with values per channel and states passed by hand."""

    input_shape = (7,)

    def __init__(self, **neuron) -> None:
        super().__init__()
        self.fc1 = nn.Linear(7, 12)
        self.lif1 = lif(alpha=0.4, **neuron)
        self.fc2 = nn.Linear(12, 4)
        self.lif2 = lif(
            alpha=torch.tensor([0.0, 0.3, 0.6, 0.8]),
            **{"threshold": 0.1, **neuron, "init_hidden": False},
        )

    def forward(self, x: Tensor, syn: Tensor, mem: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        spk, syn, mem = self.lif2(self.fc2(self.lif1(self.fc1(x))), syn, mem)
        return spk, syn, mem


NETWORKS = (ConvNet, Residual, Dense, Synaptic)


def settled(kind: type[nn.Module], seed: int = 0, **neuron) -> tuple[nn.Module, Tensor]:
    """A network in eval mode whose batchnorms have seen data, with 16 samples that make it fire."""
    torch.manual_seed(seed)
    network = kind(**neuron)
    samples = torch.rand(16, *kind.input_shape) * 1.5
    unrolled = Unrolled(network, T)
    with torch.no_grad():
        for _ in range(20):
            unrolled(encode(samples, T))
    return network.eval(), samples
