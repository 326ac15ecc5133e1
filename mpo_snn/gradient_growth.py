r"""How much a layer lets the norm of the gradient grow on its way back: what c means in depth.

Weights that give the currents of a layer the variance :math:`\sigma^2`, out of spikes of variance
:math:`p(1 - p)`, carry a gradient back with the factor :math:`\sigma^2 / (p (1 - p))` in its mean
square, and the surrogate s takes its own mean square over the membranes along:

.. math::
    g^2 = \frac{\sigma^2\, \mathrm E[s(U - \theta)^2]}{p\,(1 - p)}, \qquad
    U \sim N(\mu, \sigma^2), \quad p = P(U > \theta)

This assumes equal layers one behind the other, and batchnorm between them; without it the mean of
the spikes counts as well, and g is smaller by :math:`\sqrt{1 - p}`. For a narrow sigmoid of width
:math:`c\,\sigma` at :math:`\theta = \mu` it is :math:`\sqrt{0.48 / c}`: c near 0.5 keeps the norm.
The condition is that of an initialisation that keeps layers in balance (He et al., ICCV 2015),
solved for the surrogate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from mpo_snn.neurons import WIDTH_FLOOR, MPONeuron
from mpo_snn.surrogate import Shape, slope_of_width, surrogate_derivative

LEAST_VARIANCE = 1e-6
"""Of spikes; below it a layer hardly ever changes its mind, and nothing can be said."""
_REACH, _POINTS = 40.0, 8001
"""The surrogate is integrated over so many of its slope's units, at so many points."""


def gradient_growth(
    mean: float, sigma: float, threshold: float, slope: float, shape: Shape, scale: float = 1.0
) -> float:
    """The factor g of one layer, dimensionless; NaN where it always or never fires.

    Args:
        mean: of the membrane, in volt.
        sigma: standard deviation of the membrane, in volt.
        threshold: in volt.
        slope: of the surrogate, 1/volt.
        shape: of the surrogate.
        scale: what the surrogate is multiplied by.
    """
    if not sigma > 0.0:
        return math.nan
    p = 0.5 * math.erfc((threshold - mean) / (math.sqrt(2.0) * sigma))
    if not p * (1.0 - p) > LEAST_VARIANCE:
        return math.nan
    x = torch.linspace(-_REACH / slope, _REACH / slope, _POINTS, dtype=torch.float64)
    s = surrogate_derivative(x, torch.tensor(slope, dtype=torch.float64), shape)
    z = (x + threshold - mean) / sigma
    density = torch.exp(-0.5 * z * z) / (sigma * math.sqrt(2.0 * math.pi))
    power = float(torch.trapezoid(s * s * density, x))
    return scale * sigma * math.sqrt(power / (p * (1.0 - p)))


def growth_of(neuron: MPONeuron, means: Mapping[str, float]) -> float:
    """The factor g of a layer by its statistics (`MPO.statistics`); NaN where it has no slope.

    Args:
        neuron: the layer.
        means: mu, sigma, width and height of it.
    """
    if neuron.own_spike_grad is not None:
        return math.nan
    width = torch.tensor(max(means["width"], WIDTH_FLOOR))
    slope = slope_of_width(width, neuron.width_form, neuron.surrogate_shape)
    per_height = neuron.surrogate_scale(slope.to(neuron.height.device)) / neuron.height
    return gradient_growth(
        means["mu"],
        means["sigma"],
        float(neuron.values()[1].detach().mean()),
        float(slope),
        neuron.surrogate_shape,
        means["height"] * float(per_height.mean()),
    )
