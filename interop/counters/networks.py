"""The networks that are counted: trained on digits once, kept as whole numbers.

Weights are multiples of 1/64, inputs of 1/16, the leak halves and nothing else multiplies, so every
sum is exact in float32: all libraries fire the same spikes on every machine, and counts can be
compared to the last one. The threshold lies between two multiples of what a membrane can be, so
that it makes no difference whether a library fires at it or above it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from mpo_snn.leaky import MPOLeaky

STORED = Path(__file__).parent / "networks.json"
GRID = 64
TIMESTEPS = 4
PRUNED_SHARE = 0.3
THRESHOLD = 1.0 + 2.0**-16


def neuron() -> MPOLeaky:
    """Reset to zero, unit gain, leak one half: what all three libraries can state."""
    return MPOLeaky(0.5, THRESHOLD, init_hidden=True, input_gain="unit", reset="zero")


class Strided(nn.Module):
    """Padding, stride, dilation and groups, no pool: all synapses but the first meet spikes."""

    def __init__(self) -> None:
        """Weights as torch draws them."""
        super().__init__()
        self.conv1, self.lif1 = nn.Conv2d(1, 8, 3, padding=1), neuron()
        self.conv2, self.lif2 = nn.Conv2d(8, 12, 3, stride=2, padding=1, groups=2), neuron()
        self.conv3, self.lif3 = nn.Conv2d(12, 12, 3, padding=2, dilation=2, bias=False), neuron()
        self.fc = nn.Linear(12 * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        """One timestep."""
        x = self.lif2(self.conv2(self.lif1(self.conv1(x))))
        return self.fc(self.lif3(self.conv3(x)).flatten(1))


class Pooled(nn.Module):
    """Average pooling between spikes and synapses."""

    def __init__(self) -> None:
        """Weights as torch draws them."""
        super().__init__()
        self.conv1, self.lif1 = nn.Conv2d(1, 8, 3, padding=1), neuron()
        self.pool1 = nn.AvgPool2d(2)
        self.conv2, self.lif2 = nn.Conv2d(8, 12, 3, padding=1), neuron()
        self.pool2 = nn.AvgPool2d(2)
        self.fc = nn.Linear(12 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        """One timestep."""
        x = self.pool1(self.lif1(self.conv1(x)))
        return self.fc(self.pool2(self.lif2(self.conv2(x))).flatten(1))


KINDS: dict[str, Callable[[], nn.Module]] = {"strided": Strided, "pooled": Pooled}


def load(kind: str, *, pruned: bool = False) -> nn.Module:
    """A trained network in eval mode.

    Args:
        kind: a name out of `KINDS`.
        pruned: set the smallest `PRUNED_SHARE` of the weights of each layer to zero.
    """
    network = KINDS[kind]()
    stored = json.loads(STORED.read_text(encoding="utf-8"))[kind]
    for name, parameter in network.named_parameters():
        parameter.data = torch.tensor(stored[name], dtype=torch.float32) / GRID
        if pruned and name.endswith("weight"):
            smallest = parameter.abs().flatten().quantile(PRUNED_SHARE)
            parameter.data[parameter.abs() <= smallest] = 0.0
    return network.eval()


def store(networks: dict[str, nn.Module]) -> None:
    """Write the parameters of trained networks, rounded to the grid."""
    content = {
        kind: {
            name: (parameter * GRID).round().int().tolist()
            for name, parameter in network.named_parameters()
        }
        for kind, network in networks.items()
    }
    STORED.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
