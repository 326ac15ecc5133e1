"""What MPO aims at: the target of the membrane (L_Dist), and what the width follows (L_width)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mpo_snn.moments import VARIANCE_FLOOR, Moments


def kl_normal(layer: Moments, target_mean: float | Tensor = 0.0, target_std: float = 1.0) -> Tensor:
    r"""L_Dist of one layer (Eq. 21: m = 0, s = 1); finite where the layer does not move.

    .. math:: \ln\frac{s}{\sigma} + \frac{\sigma^2 + (\mu-m)^2}{2s^2} - \frac12
    """
    variance = layer.variance
    log_ratio = math.log(target_std) - 0.5 * torch.log(variance.clamp(min=VARIANCE_FLOOR))
    shift = layer.mean - target_mean
    return log_ratio + (variance + shift * shift) / (2.0 * target_std**2) - 0.5


def reach(mean: Tensor, sigma: Tensor, threshold: Tensor) -> Tensor:
    r"""The larger of sigma and the distance of the mean from the threshold, in volt.

    A layer that hardly fires has its mean far below the threshold and little spread. A width that
    followed sigma alone would take the threshold, and with it every gradient of the layer, out of
    the surrogate's reach, and the layer would stay silent for good.

    .. math:: \max(\sigma, |\mu - \theta|)
    """
    return torch.maximum(sigma, (mean - threshold).abs())
