r"""Which of snnTorch's surrogate functions are a shape of ours, and of which slope.

==================  =========================================  ==========================
snnTorch            its gradient at x = v - threshold          here
==================  =========================================  ==========================
``atan(alpha)``     (alpha/2) / (1 + (pi alpha x / 2)^2)       ``arctan``, k = pi alpha/2
``sigmoid(slope)``  slope e^{-slope x} / (1 + e^{-slope x})^2  ``sigmoid``, k = slope
==================  =========================================  ==========================

The others have none: the area of `fast_sigmoid` is 2/slope and not 1, that of
`straight_through_estimator` is infinite. Formulas: snnTorch 1.0.0, `snntorch/surrogate.py`.
"""

from __future__ import annotations

import math
from types import FunctionType

from snntorch import SpikingNeuron
from snntorch import surrogate as functions

from mpo_snn.surrogate import Shape, SpikeGrad

_SHAPES: dict[object, tuple[Shape, float]] = {
    functions.atan().__code__: ("arctan", math.pi / 2.0),
    functions.sigmoid().__code__: ("sigmoid", 1.0),
}
"""By the code of what `atan()` and `sigmoid()` return: the shape, and slope over argument."""
_DEFAULT: tuple[Shape, float] = ("arctan", math.pi)
"""What `snntorch.Leaky` takes where no surrogate is given: atan(2)."""


def shape_and_slope(function: SpikeGrad) -> tuple[Shape, float] | None:
    """Shape and slope (1/volt) of a surrogate function of snnTorch; None where none is equal."""
    if not isinstance(function, FunctionType) or function.__code__ not in _SHAPES:
        return None
    shape, factor = _SHAPES[function.__code__]
    (cell,) = function.__closure__ or ()
    return shape, factor * float(cell.cell_contents)


def was_chosen(neuron: SpikingNeuron) -> bool:
    """Whether somebody gave this neuron another surrogate than snnTorch does by itself."""
    return not neuron.surrogate_disable and shape_and_slope(neuron.spike_grad) != _DEFAULT
