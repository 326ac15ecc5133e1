r"""Spiking residual networks, written for one timestep.

A block sums currents in front of its last neuron layer,

.. math:: s = \mathrm{LIF}\big(\mathrm{bn}_2(W_2\, s_1) + \text{shortcut}(x)\big), \qquad
          s_1 = \mathrm{LIF}\big(\mathrm{bn}_1(W_1\, x)\big)

where x are spikes and the shortcut is the identity, or 1x1 convolution and batchnorm where the
shape changes. In NIR the sum is two edges into one neuron node.

- ResNet-18, ResNet-34: K. He et al., "Deep residual learning for image recognition", CVPR 2016;
  ResNet-18 with the 3x3 stem that is usual for images of 32x32, ResNet-34 with the 7x7 stem whose
  max pooling is an average over 2x2 windows.
- ResNet-19: H. Zheng et al., "Going deeper with directly-trained larger spiking neural networks",
  AAAI 2021: blocks 3-3-2 of 128-256-512 channels, a dense layer of 256 neurons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from mpo_snn.networks.images import image_of
from mpo_snn.networks.mlp import dense_layers
from mpo_snn.networks.neuron import build_neuron
from mpo_snn.networks.pooling import build_pooling, refuse_max
from mpo_snn.networks.settings import Pooling
from mpo_snn.settings import NeuronSettings


@dataclass(frozen=True)
class Layout:
    """Sizes of a residual network.

    Attributes:
        blocks: number of blocks of each stage.
        channels: output channels of each stage; the stem has those of the first.
        hidden: sizes of the dense hidden layers behind the blocks.
        large_stem: 7x7 convolution with stride 2 and 2x2 pooling, instead of a 3x3 convolution.
    """

    blocks: tuple[int, ...]
    channels: tuple[int, ...]
    hidden: tuple[int, ...] = ()
    large_stem: bool = False

    @property
    def halvings(self) -> int:
        """How often the image is halved."""
        return len(self.blocks) - 1 + 2 * self.large_stem


LAYOUTS = {
    "resnet18": Layout((2, 2, 2, 2), (64, 128, 256, 512)),
    "resnet19": Layout((3, 3, 2), (128, 256, 512), hidden=(256,)),
    "resnet34": Layout((3, 4, 6, 3), (64, 128, 256, 512), large_stem=True),
}


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; their currents add up in front of the last LIF.

    Args:
        inputs: channels of what comes in.
        channels: channels of what goes out.
        stride: of the first convolution and the shortcut.
        neuron: settings of both neuron layers.
    """

    def __init__(self, inputs: int, channels: int, stride: int, neuron: NeuronSettings) -> None:
        """Build both paths."""
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.neuron1 = build_neuron(neuron, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
        self.neuron2 = build_neuron(neuron, channels)

    def summed(self) -> list[nn.BatchNorm2d]:
        """The batchnorms whose outputs meet in the sum."""
        return [self.bn2, *(m for m in self.shortcut.modules() if isinstance(m, nn.BatchNorm2d))]

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of one timestep from spikes, (batch, channels, height, width) both."""
        current = self.bn2(self.conv2(self.neuron1(self.bn1(self.conv1(x)))))
        return self.neuron2(current + self.shortcut(x))  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """Stem, stages of residual blocks, pooling over the whole image, dense layers.

    Args:
        name: what errors call it.
        input_shape: (channels, height, width) of a sample; 2 ** layout.halvings pixels or more a
            side.
        classes: number of outputs.
        layout: number and sizes of the blocks.
        neuron: settings of every neuron.
        pooling: of spikes, in a large stem and behind the last block; behind the last block `max`
            is an average.
        dropout: share of the features in front of a dense layer that is dropped in training, in
            [0, 1).

    Raises:
        RecipeError: if a sample is no image or too small, or `max` has no windows.
    """

    def __init__(
        self,
        name: str,
        input_shape: Sequence[int],
        classes: int,
        layout: Layout,
        neuron: NeuronSettings | None = None,
        pooling: Pooling = "average",
        dropout: float = 0.0,
    ) -> None:
        """Build the stem, the blocks and the linear read-out."""
        super().__init__()
        depth, height, width = image_of(name, input_shape, layout.halvings)
        neuron = neuron or NeuronSettings()
        first = layout.channels[0]
        if layout.large_stem:
            stem = nn.Conv2d(depth, first, 7, stride=2, padding=3, bias=False)
            height, width = -(-height // 2) // 2, -(-width // 2) // 2
        else:
            refuse_max(name, pooling)
            stem = nn.Conv2d(depth, first, 3, padding=1, bias=False)
        layers: list[nn.Module] = [stem, nn.BatchNorm2d(first), build_neuron(neuron, first)]
        if layout.large_stem:
            layers.append(build_pooling(pooling, 2))
        self.stem = nn.Sequential(*layers)
        blocks: list[nn.Module] = []
        depth = first
        for stage, (count, channels) in enumerate(zip(layout.blocks, layout.channels, strict=True)):
            for block in range(count):
                stride = 2 if stage and not block else 1
                blocks.append(ResidualBlock(depth, channels, stride, neuron))
                depth, height, width = channels, -(-height // stride), -(-width // stride)
        self.blocks = nn.Sequential(*blocks)
        self.pool = build_pooling("sum" if pooling == "sum" else "average", (height, width))
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Sequential(
            *dense_layers(depth, layout.hidden, neuron, dropout, batchnorm=True)
        )
        self.readout = nn.Linear(layout.hidden[-1] if layout.hidden else depth, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of one timestep from (batch, channels, height, width)."""
        x = self.flatten(self.pool(self.blocks(self.stem(x))))
        return self.readout(self.hidden(self.dropout(x)))  # type: ignore[no-any-return]
