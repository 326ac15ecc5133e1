r"""RecDis: a loss on the distribution of the membrane, against three ways in which it goes bad.

Guo et al., "RecDis-SNN: Rectifying Membrane Potential Distribution for Directly Training Spiking
Neural Networks", CVPR 2022. With :math:`z = (v - \theta) / h`, h the half-width of the surrogate's
effective support, over time, batch and neurons of a layer

.. math::
    L = \big[|\mathrm{mean}(z)| - \kappa\, \mathrm{std}(z)\big]_+^2
      + \big[\mathrm{mean}|z| - \kappa\, \mathrm{std}|z| - 1\big]_+^2
      + \big[1 - \mathrm{mean}|z| - \kappa\, \mathrm{std}|z|\big]_+^2

punishes degeneration (the bulk lies on one side of the threshold, so all fire or none), saturation
(it lies outside the support, so no gradient passes) and gradient mismatch (it lies inside, where
the surrogate is furthest from the derivative that it stands for). In this form the three terms are
those of Ding et al., "Regularizing Activation Distribution for Training Binarized Deep Networks",
CVPR 2019, with the bulk taken as mean -+ kappa standard deviations; RecDis carries them over to the
membrane with bounds of its own, which are not reproduced.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mpo_snn.moments import moments
from mpo_snn.reduction import merged
from mpo_snn.rivals.rival import Rival
from mpo_snn.rivals.settings import RivalSettings
from mpo_snn.surrogate import half_support
from mpo_snn.unroll import Unrolled


def distribution_loss(z: Tensor, margin: float) -> Tensor:
    """The three penalties of one layer, summed, 0-d.

    Args:
        z: membrane from threshold in units of the surrogate's reach, any shape; the samples of
            all processes count.
        margin: kappa.
    """
    signed, size = merged([moments(z), moments(z.abs())])
    degeneration = signed.mean.abs() - margin * signed.sigma
    saturation = size.mean - margin * size.sigma - 1.0
    mismatch = 1.0 - size.mean - margin * size.sigma
    return torch.stack((degeneration, saturation, mismatch)).relu().square().sum()


class RecDis(Rival):
    """Adds the distribution loss, its mean over layers."""

    def __init__(self, unrolled: Unrolled, settings: RivalSettings) -> None:
        """Nothing is collected yet."""
        super().__init__(unrolled, settings)
        self.collected: list[Tensor] = []

    def observe(self, name: str, spk: Tensor, v: Tensor) -> None:
        """Take the penalties of a layer."""
        p = self.unrolled.neurons[name].parameters_for(v.shape[1:])
        reach = half_support(p.slope, surrogate=p.surrogate)
        z = (v - p.threshold.detach()) / reach
        self.collected.append(distribution_loss(z, self.settings.recdis_margin))

    def loss(self) -> Tensor:
        """Their mean, weighted; they are gone afterwards."""
        loss = torch.stack(self.collected).mean()
        self.collected = []
        return self.settings.recdis_lambda * loss
