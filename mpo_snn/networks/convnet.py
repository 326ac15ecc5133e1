"""A small spiking convnet for small images, written for one timestep."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from mpo_snn.errors import RecipeError
from mpo_snn.networks.images import image_of
from mpo_snn.networks.neuron import build_neuron
from mpo_snn.networks.pooling import build_pooling
from mpo_snn.networks.settings import Pooling
from mpo_snn.settings import NeuronSettings


class ConvNet(nn.Module):
    """Blocks of 3x3 convolution, batchnorm or none, and LIF; 2x2 pooling behind all but the first.

    Args:
        input_shape: (channels, height, width) of a sample.
        classes: number of outputs.
        channels: output channels of each block.
        neuron: settings of every neuron.
        dropout: share of the last features that is dropped in training, in [0, 1).
        pooling: of the spikes of a block.
        normalise: batchnorm in front of the neurons.
        bias: whether layers without batchnorm have a bias.

    Raises:
        RecipeError: if a sample is no image, or too small for the number of blocks.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        classes: int,
        channels: Sequence[int] = (32, 64, 64),
        neuron: NeuronSettings | None = None,
        dropout: float = 0.0,
        pooling: Pooling = "average",
        normalise: bool = True,
        bias: bool = True,
    ) -> None:
        """Build the blocks and the linear read-out."""
        super().__init__()
        neuron = neuron or NeuronSettings()
        depth, height, width = image_of("convnet", input_shape, 0)
        layers: list[nn.Module] = []
        for index, out_channels in enumerate(channels):
            has_bias = bias and not normalise
            layers.append(nn.Conv2d(depth, out_channels, 3, padding=1, bias=has_bias))
            if normalise:
                layers.append(nn.BatchNorm2d(out_channels))
            layers.append(build_neuron(neuron, out_channels))
            depth = out_channels
            if index:
                layers.append(build_pooling(pooling, 2))
                height, width = height // 2, width // 2
        if min(height, width) < 1:
            raise RecipeError(
                f"convnet: {len(channels)} blocks pool an image of {input_shape[1]}x"
                f"{input_shape[2]} away; use fewer network.channels."
            )
        self.features = nn.Sequential(*layers)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(depth * height * width, classes, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of one timestep from (batch, channels, height, width)."""
        return self.readout(self.dropout(self.flatten(self.features(x))))  # type: ignore[no-any-return]
