r"""How a layer is scaled to whole numbers, and which leaks hardware in fixed point has.

A layer with a scale of its own takes the largest s for which

- weights fill their bits: :math:`s \max|W| \le 2^{w - 1} - 1`;
- the membrane can pass the threshold: :math:`s\,\theta \le 2^{n - 1} - 2`, and the bias fits;
- where membranes wrap and calibration data say how far they go, they do not:
  :math:`s \max|v| \le 2^{n - 1} - 1`. Saturated membranes only lose what lies beyond their rails.

Where all neurons share a threshold, s is lowered by at most 1.6 % so that it is a whole number.
With `weight_fraction_bits` F the scale is :math:`2^F` for all layers, and weights beyond their bits
are clipped.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .fixed_point import round_half_even
from .fixed_point_core import NO_LEAK, FixedPointFormat
from .layers import Layer
from .real_run import Reach

_EXACT_FROM = 64
"""Thresholds from here on are met exactly: that costs the scale less than 1 in 64."""
_LONGEST_SHIFT = 52
"""Beyond it, no float64 tells the leak from 1."""


def layer_scale(layer: Layer, chosen: FixedPointFormat, reach: Reach | None = None) -> float:
    """Units of the hardware's membrane for one unit of the network's, > 0.

    Args:
        layer: in real numbers.
        chosen: the formats.
        reach: how far it went on calibration data.
    """
    if chosen.weight_fraction_bits is not None:
        return float(2**chosen.weight_fraction_bits)
    rail = 2 ** (chosen.state_bits - 1) - 1
    threshold = float(layer.threshold.max())
    bounds = [(rail - 1) / threshold]
    weight = max((float(p.weight.abs().max()) for p in layer.projections), default=0.0)
    if weight > 0:
        bounds.append((2 ** (chosen.weight_bits - 1) - 1) / weight)
    bias = float(layer.bias.abs().max())
    if bias > 0:
        bounds.append(rail / bias)
    if reach is not None and chosen.overflow == "wrap":
        bounds.append(rail / max(reach.v, -reach.v_low))
    scale = min(bounds)
    whole = int(scale * threshold)
    is_one = bool((layer.threshold == threshold).all())
    return whole / threshold if is_one and whole >= _EXACT_FROM else scale


def round_threshold(layer: Layer, chosen: FixedPointFormat, scale: float) -> Tensor:
    """Thresholds in units of the hardware; below 1 or beyond the membrane they are of no use.

    Neurons that fire once a step do so above the threshold (`mpo_snn.deploy.real_run`): with a
    reset to zero, hardware that compares with `>=` gets a threshold that is higher by 1.
    """
    threshold = round_half_even(layer.threshold * scale)
    return threshold + 1 if is_shifted(layer, chosen) else threshold


def is_shifted(layer: Layer, chosen: FixedPointFormat) -> bool:
    """Whether thresholds are higher by 1."""
    return chosen.compare == ">=" and layer.most_spikes == 1 and chosen.reset == "zero"


def round_leak(beta: Tensor, chosen: FixedPointFormat) -> Tensor:
    """The nearest leak that there is, as `FixedPointNeurons` has it."""
    if chosen.leak == "none":
        return torch.full_like(beta, NO_LEAK, dtype=torch.int64)
    if chosen.leak == "multiply":
        return round_half_even(beta * 2**chosen.leak_bits)
    shifts = torch.tensor([NO_LEAK, *range(min(2**chosen.leak_bits, _LONGEST_SHIFT + 1))])
    nearest = (beta[..., None] - beta_of(shifts, chosen)).abs().argmin(-1)
    return shifts[nearest]


def beta_of(leak: Tensor, chosen: FixedPointFormat) -> Tensor:
    """What is left of the membrane in a step, but for rounding; float64."""
    if chosen.leak == "multiply":
        return leak.double() / (1 << chosen.leak_bits)
    kept: Tensor = 1.0 - torch.exp2(-leak.clamp(min=0).double())
    return kept.masked_fill(leak == NO_LEAK, 1.0)
