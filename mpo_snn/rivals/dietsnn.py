r"""Diet-SNN: leak and threshold of every layer are trained with the weights.

Rathi and Roy, "DIET-SNN: Direct Input Encoding With Leakage and Threshold Optimization in Deep
Spiking Neural Networks", arXiv:2008.03658 (2020). The surrogate is a triangle in the normalised
membrane :math:`z = v / \theta - 1`, so its half-base is the threshold and moves with it:

.. math:: s(v - \theta) = \frac1\theta \max\left(0,\; 1 - |v / \theta - 1|\right)

Left out: their start from a converted ANN, and their height of 0.3 (here the area is 1, as of every
shape). Another slope that the recipe gives is kept as it is.
"""

from __future__ import annotations

import torch

from mpo_snn.rivals.rival import Rival
from mpo_snn.rivals.settings import RivalSettings
from mpo_snn.surrogate import width_of_slope
from mpo_snn.unroll import Unrolled


class DietSNN(Rival):
    """Keeps the half-base of each triangle at the threshold of its layer."""

    def __init__(self, unrolled: Unrolled, settings: RivalSettings) -> None:
        """Note the layers whose half-base is the threshold now."""
        super().__init__(unrolled, settings)
        self.following = [
            neuron
            for neuron in unrolled.neurons.values()
            if torch.allclose(neuron.slope * neuron.values()[1].detach(), torch.ones(()))
        ]

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the widths."""
        for neuron in self.following:
            slope = 1.0 / neuron.values()[1].detach()
            neuron.put("width", width_of_slope(slope, neuron.width_form, neuron.surrogate_shape))
