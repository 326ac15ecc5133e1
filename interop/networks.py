"""Networks of the round trip, made with this package and exported by it: random but firing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

import mpo_snn
from mpo_snn.leaky import MPOLeaky
from mpo_snn.neurons import MPONeuron
from mpo_snn.synaptic import MPOSynaptic

Neurons = Callable[[int], MPONeuron]
"""Makes a layer of neurons for a number of channels."""

SETTLING = 20
"""Forward passes in training mode that give batchnorm its statistics."""


class MLP(nn.Module):
    """Three dense layers, each with neurons."""

    input_shape = (12,)

    def __init__(self, neuron: Neurons, gain: float = 3.0, bias: bool = True) -> None:
        """Neurons come from `neuron(channels)`; weights are scaled by `gain`."""
        super().__init__()
        sizes = (12, 16, 14, 10)
        self.layers = nn.Sequential()
        for i, (n, m) in enumerate(pairwise(sizes), 1):
            self.layers.add_module(f"fc{i}", _scaled(nn.Linear(n, m, bias=bias or i == 1), gain))
            self.layers.add_module(f"lif{i}", neuron(m))

    def forward(self, x: Tensor) -> Tensor:
        """One timestep."""
        return self.layers(x)


class Logits(nn.Module):
    """A dense read-out behind the last neurons, as most classifiers have."""

    input_shape = (12,)

    def __init__(self, neuron: Neurons) -> None:
        """Neurons come from `neuron(channels)`."""
        super().__init__()
        self.fc1, self.lif1 = _scaled(nn.Linear(12, 16), 3.0), neuron(16)
        self.fc2 = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        """One timestep."""
        return self.fc2(self.lif1(self.fc1(x)))


class ConvNet(nn.Module):
    """Two convolutions with batchnorm, pooling and a dense layer, each with neurons."""

    input_shape = (2, 8, 8)

    def __init__(self, neuron: Neurons, divisor: int | None = None) -> None:
        """A `divisor` of 1 makes the pools sums."""
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.bn1, self.lif1 = nn.BatchNorm2d(4), neuron(4)
        self.pool1 = nn.AvgPool2d(2, divisor_override=divisor)
        self.conv2 = nn.Conv2d(4, 6, 3, padding=1)
        self.bn2, self.lif2 = nn.BatchNorm2d(6), neuron(6)
        self.pool2 = nn.AvgPool2d(2, divisor_override=divisor)
        self.fc, self.lif3 = (
            _scaled(nn.Linear(6 * 4, 10), 12.0 if divisor is None else 4.0),
            neuron(10),
        )
        for bn in (self.bn1, self.bn2):
            nn.init.constant_(bn.weight, 1.5)
            nn.init.constant_(bn.bias, 0.3)

    def forward(self, x: Tensor) -> Tensor:
        """One timestep."""
        x = self.pool1(self.lif1(self.bn1(self.conv1(x))))
        x = self.pool2(self.lif2(self.bn2(self.conv2(x))))
        return self.lif3(self.fc(x.flatten(1)))


class Residual(nn.Module):
    """Two blocks: a skip straight from spikes, and one with stride, through a 1x1 convolution."""

    input_shape = (2, 6, 6)

    def __init__(self, neuron: Neurons, has_projection: bool = True) -> None:
        """Without a projection the second block has no skip."""
        super().__init__()
        self.stem, self.lif0 = _scaled(nn.Conv2d(2, 4, 3, padding=1), 3.0), neuron(4)
        self.conv1, self.lif1 = _scaled(nn.Conv2d(4, 4, 3, padding=1), 3.0), neuron(4)
        self.conv2, self.lif2 = _scaled(nn.Conv2d(4, 6, 3, padding=1, stride=2), 3.0), neuron(6)
        skip = _scaled(nn.Conv2d(4, 6, 1, stride=2, bias=False), 2.0)
        self.skip = skip if has_projection else None
        self.fc, self.lif3 = _scaled(nn.Linear(6 * 9, 10), 3.0), neuron(10)

    def forward(self, x: Tensor) -> Tensor:
        """One timestep."""
        a = self.lif0(self.stem(x))
        b = self.lif1(self.conv1(a) + a)
        current = self.conv2(b)
        c = self.lif2(current if self.skip is None else current + self.skip(b))
        return self.lif3(self.fc(c.flatten(1)))


def _scaled(layer: nn.Module, gain: float) -> nn.Module:
    with torch.no_grad():
        layer.weight *= gain
    return layer


def leaky(beta: float = 0.8, threshold: float = 1.0, **options: object) -> Neurons:
    """One leak and one threshold per layer, input as it is."""
    return lambda channels: MPOLeaky(
        beta, threshold, init_hidden=True, **{"input_gain": "unit", **options}
    )


def heterogeneous(**options: object) -> Neurons:
    """A leak and a threshold of its own for each channel."""

    def make(channels: int) -> MPONeuron:
        beta, threshold = 0.5 + 0.45 * torch.rand(channels), 0.7 + 0.8 * torch.rand(channels)
        return MPOLeaky(beta, threshold, init_hidden=True, **{"input_gain": "unit", **options})

    return make


def thresholds() -> Neurons:
    """One leak per layer, a threshold of its own for each channel."""
    return lambda channels: MPOLeaky(
        0.8, 0.7 + 0.8 * torch.rand(channels), init_hidden=True, input_gain="unit"
    )


def synaptic(**options: object) -> Neurons:
    """A leaky synapse in front of the membrane."""
    return lambda channels: MPOSynaptic(
        0.6, 0.8, 2.0, init_hidden=True, **{"input_gain": "unit", **options}
    )


def on_a_grid(network: nn.Module, step: float = 0.125) -> nn.Module:
    """Weights and biases rounded to multiples of a power of two, so that sums are exact."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_((parameter / step).round() * step)
    return network


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: MLP(leaky()),
    "mlp, gain 1 - beta": lambda: MLP(leaky(0.8, 0.2, input_gain="decay")),
    "mlp, logits": lambda: Logits(leaky()),
    "mlp, IF": lambda: MLP(leaky(1.0, 1.5)),
    "mlp, ties": lambda: on_a_grid(MLP(leaky(0.5, 0.75), gain=4.0)),
    "mlp, IF, ties": lambda: on_a_grid(MLP(leaky(1.0, 1.5), gain=4.0)),
    "mlp, threshold per neuron": lambda: MLP(thresholds()),
    "mlp, leak and threshold per neuron": lambda: MLP(heterogeneous()),
    "mlp, synaptic": lambda: MLP(synaptic()),
    "mlp, subtract next": lambda: MLP(leaky(reset="subtract", reset_timing="next")),
    "mlp, subtract next, bias in front alone": lambda: MLP(
        leaky(reset="subtract", reset_timing="next"), gain=4.0, bias=False
    ),
    "mlp, subtract step": lambda: MLP(leaky(reset="subtract", reset_timing="step")),
    "convnet, average pooling": lambda: ConvNet(leaky(0.7)),
    "convnet, sum pooling": lambda: ConvNet(leaky(0.7), divisor=1),
    "convnet, threshold per channel": lambda: ConvNet(thresholds()),
    "convnet, leak and threshold per channel": lambda: ConvNet(heterogeneous()),
    "convnet, IF": lambda: ConvNet(leaky(1.0, 2.0)),
    "convnet, subtract next": lambda: ConvNet(
        leaky(0.7, reset="subtract", reset_timing="next"), divisor=1
    ),
    "residual, identity skip": lambda: Residual(leaky(), has_projection=False),
    "residual, projection": lambda: Residual(leaky()),
    "residual, leak and threshold per channel": lambda: Residual(heterogeneous(), False),
}
"""What is exported, by name."""


def build(name: str, seed: int = 0) -> nn.Module:
    """A network of `NETWORKS` in eval mode, its batchnorms settled on random input."""
    torch.manual_seed(seed)
    network = NETWORKS[name]()
    unrolled = mpo_snn.Unrolled(network, 5)
    with torch.no_grad():
        for _ in range(SETTLING):
            unrolled(torch.rand(5, 8, *network.input_shape))
    return network.eval()
