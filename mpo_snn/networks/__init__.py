"""Networks by name; each is plain torch.nn with MPO neurons, written for one timestep.

A builder imports its network when it is called, so that listing the names costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
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
    settings: NetworkSettings,
    neuron: NeuronSettings,
    input_shape: Sequence[int],
    classes: int,
    output_neuron: bool = False,
    largest_input: float = 1.0,
) -> nn.Module:
    """A network with fresh weights, drawn from torch's global random numbers.

    Args:
        settings: which network, its size, and its weights at the start.
        neuron: settings of every neuron.
        input_shape: shape of a sample, (channels, height, width); mlp takes any shape.
        classes: number of outputs, at least 2.
        output_neuron: whether a layer of neurons takes the outputs, one a class, so that the
            network puts out spikes (read-out `spike_count`).
        largest_input: value that the input reaches (`mpo_snn.encoding.largest_input`).

    Raises:
        RecipeError: if the name is unknown, or the network does not suit the shape or the classes.
    """
    from mpo_snn.networks.initialisation import initialise

    if settings.name not in _BUILDERS:
        raise RecipeError(
            f"unknown network '{settings.name}': choose one of {', '.join(_BUILDERS)}."
        )
    if classes < 2:
        raise RecipeError(f"{settings.name}: the data has {classes} classes, allowed is 2 or more.")
    network = _BUILDERS[settings.name](settings, neuron, input_shape, classes)
    if output_neuron:
        from mpo_snn.networks.neuron import with_output_neuron

        network = with_output_neuron(network, neuron, classes)
    initialise(network, neuron, settings.init, largest_input)
    return network


def _mlp(
    settings: NetworkSettings, neuron: NeuronSettings, input_shape: Sequence[int], classes: int
) -> nn.Module:
    from mpo_snn.networks.mlp import MLP
    from mpo_snn.networks.pooling import refuse_max

    refuse_max(settings.name, settings.pooling)
    hidden = settings.scaled(settings.hidden)
    return MLP(
        input_shape, classes, hidden, neuron, settings.dropout, settings.normalise, settings.bias
    )


def _convnet(
    settings: NetworkSettings, neuron: NeuronSettings, input_shape: Sequence[int], classes: int
) -> nn.Module:
    from mpo_snn.networks.convnet import ConvNet

    channels = settings.scaled(settings.channels)
    return ConvNet(
        input_shape,
        classes,
        channels,
        neuron,
        settings.dropout,
        settings.pooling,
        settings.normalise,
        settings.bias,
    )


def _vgg(
    settings: NetworkSettings, neuron: NeuronSettings, input_shape: Sequence[int], classes: int
) -> nn.Module:
    from mpo_snn.networks.vgg import STAGES, VGG

    return VGG(
        settings.name,
        input_shape,
        classes,
        [settings.scaled(stage) for stage in STAGES[settings.name]],
        settings.scaled(settings.hidden),
        neuron,
        settings.pooling,
        settings.dropout,
    )


def _resnet(
    settings: NetworkSettings, neuron: NeuronSettings, input_shape: Sequence[int], classes: int
) -> nn.Module:
    from mpo_snn.networks.resnet import LAYOUTS, ResNet

    layout = LAYOUTS[settings.name]
    layout = replace(
        layout, channels=settings.scaled(layout.channels), hidden=settings.scaled(layout.hidden)
    )
    return ResNet(
        settings.name, input_shape, classes, layout, neuron, settings.pooling, settings.dropout
    )


_BUILDERS: dict[str, Builder] = {
    "mlp": _mlp,
    "convnet": _convnet,
    "vgg11": _vgg,
    "vgg16": _vgg,
    "resnet18": _resnet,
    "resnet19": _resnet,
    "resnet34": _resnet,
}
