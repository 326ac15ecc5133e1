"""Spiking VGG, written for one timestep.

K. Simonyan and A. Zisserman, "Very deep convolutional networks for large-scale image recognition",
ICLR 2015, configurations A (VGG-11) and D (VGG-16), with batchnorm, a LIF layer where they have a
rectifier and average pooling for their maximum. The two dense hidden layers have 512 neurons
instead of 4096, as is usual for images of 32x32.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from mpo_snn.networks.images import image_of
from mpo_snn.networks.mlp import dense_layers
from mpo_snn.networks.neuron import build_neuron
from mpo_snn.networks.pooling import build_pooling
from mpo_snn.networks.settings import Pooling
from mpo_snn.settings import NeuronSettings

STAGES: dict[str, tuple[tuple[int, ...], ...]] = {
    "vgg11": ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    "vgg16": ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3),
}
"""Output channels of the convolutions of each stage; a pooling ends every stage."""


class VGG(nn.Module):
    """Stages of 3x3 convolutions with batchnorm and LIF, each ended by a pooling; dense layers.

    Args:
        name: what errors call it.
        input_shape: (channels, height, width) of a sample; 2 ** len(stages) pixels or more a side.
        classes: number of outputs.
        stages: output channels of the convolutions of each stage.
        hidden: size of each dense hidden layer.
        neuron: settings of every neuron.
        pooling: of the spikes of a stage, over 2x2 windows.
        dropout: share of each dense hidden layer's spikes that is dropped in training, in [0, 1).

    Raises:
        RecipeError: if a sample is no image or too small for the number of stages.
    """

    def __init__(
        self,
        name: str,
        input_shape: Sequence[int],
        classes: int,
        stages: Sequence[Sequence[int]],
        hidden: Sequence[int] = (512, 512),
        neuron: NeuronSettings | None = None,
        pooling: Pooling = "average",
        dropout: float = 0.0,
    ) -> None:
        """Build the stages, the dense hidden layers and the linear read-out."""
        super().__init__()
        depth, height, width = image_of(name, input_shape, len(stages))
        neuron = neuron or NeuronSettings()
        layers: list[nn.Module] = []
        for stage in stages:
            for channels in stage:
                layers += [
                    nn.Conv2d(depth, channels, 3, padding=1, bias=False),
                    nn.BatchNorm2d(channels),
                    build_neuron(neuron, channels),
                ]
                depth = channels
            layers.append(build_pooling(pooling, 2))
            height, width = height // 2, width // 2
        self.features = nn.Sequential(*layers)
        self.flatten = nn.Flatten()
        self.hidden = nn.Sequential(
            *dense_layers(depth * height * width, hidden, neuron, dropout, batchnorm=True)
        )
        self.readout = nn.Linear(hidden[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of one timestep from (batch, channels, height, width)."""
        return self.readout(self.hidden(self.flatten(self.features(x))))  # type: ignore[no-any-return]
