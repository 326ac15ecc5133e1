"""The neuron layers of the shipped networks, all built in one place from the settings."""

from __future__ import annotations

from mpo_snn.neurons import MPOLeaky
from mpo_snn.settings import NeuronSettings


def build_neuron(settings: NeuronSettings, channels: int) -> MPOLeaky:
    """A neuron layer that keeps its own state.

    Args:
        settings: which neuron.
        channels: size of the first feature axis of its input, for parameters per channel.
    """
    neuron = MPOLeaky.from_settings(settings)
    neuron.channels = channels
    return neuron
