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

    One layer with its moments, 0-d or (channels,), or several with those of each, (layers,). What
    is computed of them is kept, so these objects last no longer than a step.
    """

    neurons: list[MPONeuron]
    layer: Moments
    _sigma: Tensor | None = None
    _threshold: Tensor | None = None
    _detached: JointLayers | None = None

    @property
    def sigma(self) -> Tensor:
        """Standard deviation of each, volt."""
        if self._sigma is None:
            self._sigma = self.layer.sigma
        return self._sigma

    @property
    def width(self) -> Tensor:
        """Of their surrogates, in volt."""
        widths = [neuron.width for neuron in self.neurons]
        return torch.stack(widths) if len(widths) > 1 else widths[0]

    @property
    def threshold(self) -> Tensor:
        """Of their neurons, in volt: one number a layer, or one a channel; without a graph."""
        if self._threshold is None:
            self._threshold = self._thresholds()
        return self._threshold

    @property
    def threshold_moves(self) -> bool:
        """Whether an optimiser moves a threshold of theirs."""
        return any(neuron.threshold.requires_grad for neuron in self.neurons)

    @property
    def detached(self) -> JointLayers:
        """The same, cut from the graph."""
        if self._detached is None:
            self._detached = JointLayers(self.neurons, self.layer.detached())
        return self._detached

    def of_each(self, values: Tensor) -> Sequence[Tensor]:
        """What belongs to each layer."""
        return values.unbind() if len(self.neurons) > 1 else (values,)

    def _thresholds(self) -> Tensor:
        if len(self.neurons) == 1:
            return _threshold(self.neurons[0], self.layer.mean.dim() > 0).detach()
        with torch.no_grad():
            return torch.stack([_threshold(neuron, False) for neuron in self.neurons])


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
    threshold = neuron.values()[1]
    if not per_channel or threshold.numel() == 1:
        return threshold.mean() if threshold.dim() else threshold
    return threshold.flatten(1).mean(1) if threshold.dim() > 1 else threshold
