"""The neuron layers of the shipped networks, all built in one place from the settings."""

from __future__ import annotations

from mpo_snn.neurons import MPOLeaky, MPONeuron
from mpo_snn.settings import NeuronSettings
from mpo_snn.synaptic import MPOSynaptic


def build_neuron(settings: NeuronSettings, channels: int) -> MPONeuron:
    """A neuron layer that keeps its own state.

    Args:
        settings: which neuron.
        channels: size of the first feature axis of its input, for parameters per channel.
    """
    kind = MPOSynaptic if settings.model == "synaptic" else MPOLeaky
    neuron: MPONeuron = kind.from_settings(settings, channels)
    neuron.channels = channels
    return neuron
