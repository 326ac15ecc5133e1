r"""The surrogate: what stands for the derivative of the spike in the backward pass.

The forward pass is always Heaviside. Backward,

.. math:: \frac{\partial S}{\partial V} = \text{height} \cdot \text{gain} \cdot s(V - \theta; k)

with the slope k in 1/volt, the natural inverse scale of a shape. Every shape has area 1:

====================  ============================================  ==============  ===========
shape                 s(x; k)                                       slope, matched  paper
====================  ============================================  ==============  ===========
``sigmoid``           k e^{-|kx|} / (1 + e^{-|kx|})^2               pi/(sqrt(3) w)  Eq. 9
``arctan``            (k / pi) / (1 + (kx)^2)                       1/(0.6745 w)    Eq. 5
``piecewise_linear``  k / 2 where |x| <= 1/k                        1/(sqrt(3) w)   Eq. 6
``triangle``          k max(0, 1 - |kx|)                            1/(sqrt(6) w)
``tanh``              k sech^2(kx) / (2 tanh(k/2)), |x| <= 1/2      pi/(2sqrt(3)w)  Dspike
====================  ============================================  ==============  ===========

How the slope follows from the width w, in volt, is the width form, the same for every shape but for
`matched`:

===========  ===========  ====================================================================
form         slope k      meaning
===========  ===========  ====================================================================
``paper``    w            Eq. 8 to the letter; flattens when sigma < 1
``scale``    1 / w        consistent in dimension
``matched``  table above  the surrogate, read as a density, has standard deviation w
===========  ===========  ====================================================================

A Cauchy density has no standard deviation: `arctan` is matched by its quartiles, which are those of
a normal density with standard deviation w. `tanh` is matched as if it were not cut off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from mpo_snn.errors import RecipeError
from mpo_snn.moments import exact

WidthForm = Literal["paper", "scale", "matched"]
Shape = Literal["sigmoid", "arctan", "piecewise_linear", "triangle", "tanh"]
SpikeGrad = Callable[[Tensor], Tensor]
"""A surrogate function as snnTorch has them: spikes from x, with a gradient of its own."""
Surrogate = Shape | SpikeGrad
SUPPORT_SHARE = 0.1
"""Effective support: where the surrogate exceeds this share of its peak."""
NORMAL_QUARTILE = 0.6744897501960817
"""Upper quartile of the standard normal distribution."""
TANH_REACH = 0.5
"""Half-width, in volt, outside which the `tanh` shape is 0."""


@dataclass(frozen=True)
class _Shape:
    """Derivative s(x, slope); of a share, half its support times the slope; slope times width.

    The last if matched. Beyond `reach`, in volt, it is 0.
    """

    derivative: Callable[[Tensor, Tensor], Tensor]
    support: Callable[[float], float]
    matched: float
    reach: float = math.inf


def _of_bell(share: float) -> float:
    """Where sech^2 falls to a share of its peak."""
    return math.acosh(math.sqrt(1.0 / share))


def sigmoid_derivative(x: Tensor, slope: Tensor | float) -> Tensor:
    """The logistic surrogate, peak k/4; in a form that neither overflows nor loses its tails.

    Args:
        x: distance of the membrane from threshold, any shape, in volt.
        slope: k in 1/volt, broadcast against x.
    """
    half = torch.sigmoid((x * slope).abs_().neg_())
    derivative: Tensor = torch.ops.aten.sigmoid_backward(half.new_ones(()), half)
    return derivative * slope


def _arctan(x: Tensor, slope: Tensor) -> Tensor:
    return (x * slope).square_().add_(1.0).reciprocal_() * (slope / math.pi)


def _rectangle(x: Tensor, slope: Tensor) -> Tensor:
    return (x * slope).abs_().le_(1.0) * (0.5 * slope)


def _triangle(x: Tensor, slope: Tensor) -> Tensor:
    return (x * slope).abs_().neg_().add_(1.0).clamp_(min=0.0) * slope


def _tanh(x: Tensor, slope: Tensor) -> Tensor:
    inside = (x * slope).tanh_().square_().neg_().add_(1.0) * (x.abs() <= TANH_REACH)
    return inside * (TANH_REACH * slope / torch.tanh(TANH_REACH * slope))


_SHAPES: dict[str, _Shape] = {
    "sigmoid": _Shape(
        sigmoid_derivative, lambda share: 2.0 * _of_bell(share), math.pi / math.sqrt(3.0)
    ),
    "arctan": _Shape(_arctan, lambda share: math.sqrt(1.0 / share - 1.0), 1.0 / NORMAL_QUARTILE),
    "piecewise_linear": _Shape(_rectangle, lambda share: 1.0, 1.0 / math.sqrt(3.0)),
    "triangle": _Shape(_triangle, lambda share: 1.0 - share, 1.0 / math.sqrt(6.0)),
    "tanh": _Shape(_tanh, _of_bell, math.pi / (2.0 * math.sqrt(3.0)), TANH_REACH),
}


def surrogate_derivative(x: Tensor, slope: Tensor, surrogate: Surrogate = "sigmoid") -> Tensor:
    """The surrogate s(x; k), of the shape of x.

    Args:
        x: distance of the membrane from threshold, any shape, in volt.
        slope: k in 1/volt, broadcast against x; a surrogate function of its own does not use it.
        surrogate: a shape by name, or a function as snnTorch has them.

    Raises:
        RecipeError: if there is no shape of this name.
    """
    if callable(surrogate):
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            return torch.autograd.grad(surrogate(leaf).sum(), leaf)[0]
    return _shape(surrogate).derivative(x, slope)


def slope_of_width(width: Tensor, form: WidthForm, shape: Shape = "sigmoid") -> Tensor:
    """Slope k (1/volt) of a width (volt) under one of the three width forms.

    Raises:
        RecipeError: if there is no such form or shape.
    """
    factor = _shape(shape).matched
    if form == "paper":
        return width
    if form == "scale":
        return width.reciprocal()
    if form == "matched":
        return width.reciprocal() * factor
    raise RecipeError(
        f"unknown width form '{form}': choose one of {', '.join(get_args(WidthForm))}."
    )


def width_of_slope(slope: Tensor, form: WidthForm, shape: Shape = "sigmoid") -> Tensor:
    """The width that has this slope; every form is its own inverse, so errors are the same."""
    return slope_of_width(slope, form, shape)


def half_support(
    slope: Tensor, share: float = SUPPORT_SHARE, surrogate: Surrogate = "sigmoid"
) -> Tensor:
    r"""Half the width of the set where s exceeds `share` of its peak, in closed form.

    For the sigmoid, from :math:`s = (k/4)\, \mathrm{sech}^2(kx/2)`: :math:`|x| < (2/k)\,
    \mathrm{arccosh}\sqrt{1/\text{share}}`. The paper's Eq. 10, for the whole set, falls short of
    twice this by (2/k) ln 4 where the share is small.

    Raises:
        RecipeError: if the surrogate is a function of its own, whose support nobody knows.
    """
    if callable(surrogate):
        raise RecipeError(
            "cannot tell the effective support of a surrogate given as a function (spike_grad):"
            f" only the shapes {', '.join(_SHAPES)} have one."
        )
    half = support_factor(surrogate, share) / slope
    reach = _shape(surrogate).reach
    return half if reach == math.inf else half.clamp(max=reach)


def support_factor(shape: str, share: float = SUPPORT_SHARE) -> float:
    """`half_support` of a shape times the slope, where it is not cut off before; dimensionless."""
    return _shape(shape).support(share)


def coverage(
    v: Tensor, threshold: Tensor, slope: Tensor, surrogate: Surrogate = "sigmoid"
) -> Tensor:
    """Share of membrane values inside the effective support (the paper's Fig. 1), a scalar.

    Raises:
        RecipeError: as `half_support`.
    """
    half = half_support(slope, surrogate=surrogate)
    inside = (v - threshold).abs_().lt_(half)
    return inside.mean(dtype=exact(inside.dtype)).to(torch.float32)


class Spike(torch.autograd.Function):
    """Heaviside forward (strict: x > 0), surrogate backward; slope and scale get no gradient."""

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx, x: Tensor, slope: Tensor, scale: Tensor, surrogate: Surrogate = "sigmoid"
    ) -> Tensor:
        """Spikes of 0 and 1, shape and dtype of x = v - threshold."""
        ctx.save_for_backward(x, slope, scale)
        ctx.surrogate = surrogate
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[no-untyped-def]
        """Gradient by the surrogate, times height and gain (`scale`)."""
        x, slope, scale = ctx.saved_tensors
        s = surrogate_derivative(x, slope, ctx.surrogate)
        return grad * (s * scale), None, None, None


def _shape(name: str) -> _Shape:
    if name not in _SHAPES:
        raise RecipeError(f"unknown surrogate '{name}': choose one of {', '.join(_SHAPES)}.")
    return _SHAPES[name]
