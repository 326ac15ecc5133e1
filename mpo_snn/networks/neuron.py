"""The neuron layers of the shipped networks, all built in one place from the settings."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from mpo_snn.leaky import MPOLeaky
from mpo_snn.neurons import MPONeuron
from mpo_snn.rivals.klif import KLIF
from mpo_snn.settings import NeuronSettings
from mpo_snn.synaptic import MPOSynaptic

KINDS: dict[str, type[MPONeuron]] = {"leaky": MPOLeaky, "synaptic": MPOSynaptic, "klif": KLIF}


def build_neuron(settings: NeuronSettings, channels: int) -> MPONeuron:
    """A neuron layer that keeps its own state.

    Args:
        settings: which neuron.
        channels: size of the first feature axis of its input, for parameters per channel.
    """
    neuron: MPONeuron = KINDS[settings.model].from_settings(settings, channels)
    neuron.channels = channels
    return neuron


def with_output_neuron(network: nn.Module, settings: NeuronSettings, classes: int) -> nn.Module:
    """The network with a layer of neurons behind its outputs, one a class."""
    layers = [("network", network), ("output_neuron", build_neuron(settings.of_output(), classes))]
    return nn.Sequential(OrderedDict(layers))
