"""Layers whose statistics are worked on together: fewer, larger operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpo_snn.moments import Moments, side_by_side
from mpo_snn.neurons import MPONeuron


@dataclass
class JointLayers:
    """Layers whose statistics are worked on together.

    One layer with its moments, 0-d or (channels,), or several with those of each, (layers,).
    """

    neurons: list[MPONeuron]
    layer: Moments

    @property
    def width(self) -> Tensor:
        """Of their surrogates, in volt."""
        widths = [neuron.width for neuron in self.neurons]
        return torch.stack(widths) if len(widths) > 1 else widths[0]

    @property
    def threshold(self) -> Tensor:
        """Of their neurons, in volt: one number a layer, or one a channel."""
        if len(self.neurons) > 1:
            return torch.stack([_threshold(neuron, False) for neuron in self.neurons])
        return _threshold(self.neurons[0], self.layer.mean.dim() > 0)

    def of_each(self, values: Tensor) -> Sequence[Tensor]:
        """What belongs to each layer."""
        return values.unbind() if len(self.neurons) > 1 else (values,)

    def detached(self) -> JointLayers:
        """The same, cut from the graph."""
        return JointLayers(self.neurons, self.layer.detached())


def joint_layers(layers: Sequence[tuple[MPONeuron, Moments]]) -> list[JointLayers]:
    """Those together that have one number each; the others one by one.

    Args:
        layers: neurons with the moments of their membrane.
    """
    single = [pair for pair in layers if pair[1].mean.dim() == 0 and pair[0].width.dim() == 0]
    if len(single) < 2:
        return [JointLayers([neuron], layer) for neuron, layer in layers]
    others = [pair for pair in layers if pair[1].mean.dim() or pair[0].width.dim()]
    together = side_by_side([layer for _, layer in single])
    return [
        *(JointLayers([neuron], layer) for neuron, layer in others),
        JointLayers([neuron for neuron, _ in single], together),
    ]


def _threshold(neuron: MPONeuron, per_channel: bool) -> Tensor:
    """The threshold of a layer as a value, in volt: one number, or one a channel."""
    threshold = neuron.values()[1].detach()
    if not per_channel or threshold.numel() == 1:
        return threshold.mean() if threshold.dim() else threshold
    return threshold.flatten(1).mean(1) if threshold.dim() > 1 else threshold
