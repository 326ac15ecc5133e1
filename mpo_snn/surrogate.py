r"""The surrogate: what stands for the derivative of the spike in the backward pass.

The forward pass is always Heaviside. Backward,

.. math:: \frac{\partial S}{\partial V} = \text{height} \cdot \text{gain} \cdot s(V - \theta; k),
   \qquad s(x; k) = \frac{k\, e^{-|kx|}}{(1 + e^{-|kx|})^2}

with the slope :math:`k` in 1/volt (the paper's Eq. 9, in the form that neither overflows nor loses
digits on one side). How the slope follows from the width, in volt, is the width form:

===========  ==========================  =====================================================
form         slope k                     meaning
===========  ==========================  =====================================================
``paper``    width                       Eq. 8 to the letter; flattens when sigma < 1
``scale``    1 / width                   consistent in dimension
``matched``  pi / (sqrt(3) width)        the surrogate, read as a density, has std = width
===========  ==========================  =====================================================
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from mpo_snn.errors import RecipeError

WidthForm = Literal["paper", "scale", "matched"]
SUPPORT_SHARE = 0.1
"""Effective support: where the surrogate exceeds this share of its peak."""


def slope_of_width(width: Tensor, form: WidthForm) -> Tensor:
    """Slope k (1/volt) of a width (volt) under one of the three width forms.

    Raises:
        RecipeError: if the form is not one of them.
    """
    if form == "paper":
        return width
    if form == "scale":
        return 1.0 / width
    if form == "matched":
        return math.pi / (math.sqrt(3.0) * width)
    raise RecipeError(
        f"unknown width form '{form}': choose one of {', '.join(get_args(WidthForm))}."
    )


def sigmoid_derivative(x: Tensor, slope: Tensor | float) -> Tensor:
    """The surrogate s(x; k) of this module, peak k/4 at x = 0, area 1.

    Args:
        x: distance of the membrane from threshold, any shape, in volt.
        slope: k in 1/volt, broadcast against x.
    """
    half = torch.sigmoid((x * slope).abs_().neg_())
    derivative: Tensor = torch.ops.aten.sigmoid_backward(half.new_ones(()), half)
    return derivative * slope


def half_support(slope: Tensor, share: float = SUPPORT_SHARE) -> Tensor:
    r"""Half the width of the set where s exceeds `share` of its peak.

    From :math:`s = (k/4)\, \mathrm{sech}^2(kx/2)`: :math:`|x| < (2/k)\,
    \mathrm{arccosh}\sqrt{1/\text{share}}`. The paper's Eq. 10, for the whole set, falls short of
    twice this by (2/k) ln 4 where the share is small.
    """
    return (2.0 / slope) * math.acosh(math.sqrt(1.0 / share))


def coverage(v: Tensor, threshold: Tensor, slope: Tensor) -> Tensor:
    """Share of membrane values inside the effective support (the paper's Fig. 1), a scalar."""
    return (v - threshold).abs_().lt_(half_support(slope)).mean().to(torch.float32)


class Spike(torch.autograd.Function):
    """Heaviside forward (strict: x > 0), surrogate backward; slope and scale get no gradient."""

    @staticmethod
    def forward(ctx, x: Tensor, slope: Tensor, scale: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        """Spikes of 0 and 1, shape and dtype of x = v - threshold."""
        ctx.save_for_backward(x, slope, scale)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[no-untyped-def]
        """Gradient by the surrogate, times height and gain (`scale`)."""
        x, slope, scale = ctx.saved_tensors
        return grad * (sigmoid_derivative(x, slope) * scale), None, None
