r"""A layer of MPO neurons in units of its gain: unit gain, and a threshold over the gain.

The membrane :math:`v = \beta v + g x` with threshold :math:`\theta` fires as
:math:`u = \beta u + x` with :math:`\theta / g` does; a synapse likewise.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mpo_snn.neurons import MPONeuron
from mpo_snn.synaptic import MPOSynaptic

from .layers import Layer, Projection


def unit_gain_layer(
    name: str,
    shape: tuple[int, ...],
    projections: tuple[Projection, ...],
    neuron: MPONeuron,
    bias: NDArray[np.float64],
) -> Layer:
    """The layer, with the reset of NIR.

    Args:
        name: of the node that spikes.
        shape: of the neurons.
        projections: what drives it.
        neuron: its leaks, threshold and gain.
        bias: current at every step, of the shape.
    """
    beta, threshold = (_spread(value, shape) for value in neuron.values())
    alpha = _spread(neuron.synapse_leak(), shape) if isinstance(neuron, MPOSynaptic) else None
    if neuron.input_gain == "decay":
        threshold = threshold / (1.0 - beta)
        if alpha is not None:
            threshold = threshold / (1.0 - alpha)
    return Layer(
        name=name,
        shape=shape,
        projections=projections,
        alpha=alpha,
        beta=beta,
        threshold=threshold,
        bias=torch.from_numpy(np.ascontiguousarray(bias)),
    )


def largest(layer: Layer) -> float:
    """The largest magnitude among the numbers that a chip has to hold."""
    numbers = (*(projection.weight for projection in layer.projections), layer.bias)
    return max(float(x.abs().max()) for x in (*numbers, layer.threshold) if x.numel())


def _spread(value: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A parameter of a neuron, one value per neuron, float64."""
    value = value.detach().to(torch.float64)
    if value.dim() == 1 and value.shape[:1] == shape[:1]:
        value = value.reshape(-1, *[1] * (len(shape) - 1))
    return value.expand(shape).clone()
