r"""How far a membrane is from normal, from its histogram: a diagnostic, not a loss.

L_Dist (`mpo_snn.objective.kl_normal`) knows mean and variance alone. Algorithm 1 line 6 of the
paper mentions a histogram estimate of P(V), which sees skew, tails and two humps as well:

.. math:: \sum_b p_b \ln \frac{p_b}{q_b}

with :math:`p_b` the share of values in bin b and :math:`q_b` the mass that the normal distribution
has there; the outermost bins reach to infinity, so that both sum to 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mpo_snn.errors import ShapeError


@torch.no_grad()
def histogram_kl(
    u: Tensor, target_mean: float = 0.0, target_std: float = 1.0, bins: int = 64
) -> float:
    """KL divergence of the histogram of u from N(m, s^2), in nat; not differentiable.

    Args:
        u: membrane values in volt, any shape.
        target_mean: m, in volt.
        target_std: s, in volt, > 0.
        bins: number of bins between m - 4s and m + 4s, of equal width, >= 2; the outermost two take
            what lies beyond. Of n normal values, chance alone makes some (bins - 1) / 2n.

    Raises:
        ShapeError: if u is empty or there are fewer than two bins.
    """
    if u.numel() == 0 or bins < 2:
        raise ShapeError(
            f"cannot take a histogram of {u.numel()} values in {bins} bins: it takes one value and"
            " two bins at least."
        )
    z = ((u.double() - target_mean) / target_std).flatten()
    inner = torch.linspace(-4.0, 4.0, bins + 1, dtype=torch.float64, device=u.device)[1:-1]
    counts = torch.bincount(torch.bucketize(z, inner), minlength=bins)
    below = torch.special.ndtr(inner)
    # Upper half by its complement: 1 - cdf has no digits left in the tail.
    above = torch.special.ndtr(-inner)
    nothing, everything = below.new_zeros(1), below.new_ones(1)
    lower = torch.cat((nothing, below, everything)).diff()
    upper = -torch.cat((everything, above, nothing)).diff()
    q = torch.where(torch.cat((inner, inner[-1:] + 1)) <= 0, lower, upper)
    p = counts.double() / z.numel()
    return float(torch.special.xlogy(p, p / q).sum())
