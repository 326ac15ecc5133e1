"""How MPO scales gradients: the height of every layer (DAS) and the gain of every neuron (SFH)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mpo_snn.settings import MPOSettings

HEIGHT_RAILS = (0.5, 2.0)
GAIN_RAILS = (0.5, 2.0)


def expected_share(gamma: float) -> float:
    """rho*: share of a normal distribution within gamma sigmas of its mean."""
    return math.erf(gamma / math.sqrt(2.0))


def adjust_heights(heights: Tensor, rho: Tensor, settings: MPOSettings) -> Tensor:
    """One step of DAS (Eq. 22) on all layers: height *= 1 + eta (rho - rho*) / rho*.

    To the letter there is no feedback from height to rho, so a lasting deviation drives a height
    to its rail. `stabilised` leaves deviations inside the dead band alone and renormalises the
    heights to geometric mean 1. Both clip to [0.5, 2].

    Args:
        heights: one per layer, (layers,).
        rho: share of U inside the band, (layers,).
        settings: eta, gamma, dead band.
    """
    target = expected_share(settings.height_gamma)
    deviation = rho - target
    if settings.height == "stabilised":
        inside = deviation.abs() <= settings.height_dead_band
        deviation = torch.where(inside, torch.zeros_like(deviation), deviation)
    heights = heights * (1.0 + settings.height_rate * deviation / target)
    if settings.height == "stabilised":
        heights = heights / torch.exp(torch.log(heights).mean())
    return heights.clamp(*HEIGHT_RAILS)


def neuron_gain(sigma: Tensor) -> Tensor:
    """SFH: clip(mean(sigma) / (sigma_i + eps), 0.5, 2), renormalised to mean 1.

    Args:
        sigma: standard deviation of U_i over the batch, per neuron, volt.
    """
    mean = sigma.mean()
    gain = (mean / (sigma + 1e-6 * mean + 1e-12)).clamp(*GAIN_RAILS)
    return gain / gain.mean()
