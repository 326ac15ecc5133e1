"""Networks by name; each is plain torch.nn with MPO neurons, written for one timestep.

A builder imports its network when it is called, so that listing the names costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mpo_snn.errors import RecipeError

if TYPE_CHECKING:
    from torch import nn

    from mpo_snn.networks.settings import NetworkSettings
    from mpo_snn.settings import NeuronSettings

    Builder = Callable[[NetworkSettings, NeuronSettings, Sequence[int], int], nn.Module]

__all__ = ["build_network", "network_names"]


def network_names() -> tuple[str, ...]:
    """The names that `build_network` knows."""
    return tuple(_BUILDERS)


def build_network(
    settings: NetworkSettings, neuron: NeuronSettings, input_shape: Sequence[int], classes: int
) -> nn.Module:
    """A network with fresh weights, drawn from torch's global random numbers.

    Args:
        settings: which network, and its size.
        neuron: settings of every neuron.
        input_shape: shape of a sample, (channels, height, width).
        classes: number of outputs.

    Raises:
        RecipeError: if the name is unknown, or the network does not suit the shape.
    """
    if settings.name not in _BUILDERS:
        raise RecipeError(
            f"unknown network '{settings.name}': choose one of {', '.join(_BUILDERS)}."
        )
    return _BUILDERS[settings.name](settings, neuron, input_shape, classes)


def _convnet(
    settings: NetworkSettings, neuron: NeuronSettings, input_shape: Sequence[int], classes: int
) -> nn.Module:
    from mpo_snn.networks.convnet import ConvNet

    return ConvNet(input_shape, classes, settings.channels, neuron, settings.dropout)


_BUILDERS: dict[str, Builder] = {
    "convnet": _convnet,
}
