"""A multilayer perceptron of LIF neurons, and the dense layers that other networks end in."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from mpo_snn.errors import RecipeError
from mpo_snn.networks.neuron import build_neuron
from mpo_snn.settings import NeuronSettings


def dense_layers(
    features: int,
    hidden: Sequence[int],
    neuron: NeuronSettings,
    dropout: float,
    *,
    batchnorm: bool,
    bias: bool = True,
) -> list[nn.Module]:
    """Dense layer, batchnorm if asked for, LIF and dropout, for each hidden size.

    Args:
        features: size of what comes in.
        hidden: size of each layer.
        neuron: settings of every neuron.
        dropout: share of each layer's spikes that is dropped in training, in [0, 1).
        batchnorm: whether currents are normalised, which takes the place of a bias.
        bias: whether there is a bias where there is no batchnorm.
    """
    layers: list[nn.Module] = []
    for size in hidden:
        layers.append(nn.Linear(features, size, bias=bias and not batchnorm))
        if batchnorm:
            layers.append(nn.BatchNorm1d(size))
        layers += [build_neuron(neuron, size), nn.Dropout(dropout)]
        features = size
    return layers


class MLP(nn.Module):
    """Dense layers of LIF neurons and a linear read-out.

    Args:
        input_shape: shape of a sample; it is flattened.
        classes: number of outputs.
        hidden: size of each hidden layer.
        neuron: settings of every neuron.
        dropout: share of each layer's spikes that is dropped in training, in [0, 1).
        normalise: batchnorm in front of the neurons, without which sparse input (events) needs
            larger weights than `mpo_snn.networks.initialisation` draws.
        bias: whether dense layers without batchnorm have a bias.

    Raises:
        RecipeError: if a sample has no values.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        classes: int,
        hidden: Sequence[int] = (512, 512),
        neuron: NeuronSettings | None = None,
        dropout: float = 0.0,
        normalise: bool = True,
        bias: bool = True,
    ) -> None:
        """Build the hidden layers and the linear read-out."""
        super().__init__()
        if not input_shape or min(input_shape) < 1:
            raise RecipeError(
                f"mlp: samples have shape {tuple(input_shape)}, expected at least one value."
            )
        self.flatten = nn.Flatten()
        features, neuron = math.prod(input_shape), neuron or NeuronSettings()
        layers = dense_layers(features, hidden, neuron, dropout, batchnorm=normalise, bias=bias)
        self.hidden = nn.Sequential(*layers)
        self.readout = nn.Linear(hidden[-1], classes, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of one timestep from (batch, *features)."""
        return self.readout(self.hidden(self.flatten(x)))  # type: ignore[no-any-return]
