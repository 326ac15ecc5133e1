r"""A network in Loihi's numbers: one scale for every layer, one exponent for every projection.

With the scale s, a layer's weights, bias and threshold become :math:`sW`, :math:`sb`,
:math:`s\theta` in units of the chip's membrane, rounded to what `LoihiFormat` holds. s is the
largest for which weights, bias and threshold fit, and sums (22 bits), currents and membranes (24
bits) stay within `LoihiReach`. Where all neurons share a threshold, s is lowered by at most 1.6 %
so that the threshold is met exactly. Every projection then takes the least exponent that holds its
weights, which is the finest grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpo_snn.profiles.chip import ChipProfile

from .fixed_point import limits, round_half_even
from .layers import ChipGraph, Layer
from .loihi_core import CURRENT_BITS, SUM_BITS, LoihiNeurons
from .loihi_format import POINT, LoihiFormat, decay_of_current, decay_of_membrane, loihi_format
from .loihi_network import LoihiLayer, LoihiNetwork, StoredWeight
from .loihi_reach import LoihiReach, reach_of, worst_case

_EXACT_FROM = 64
"""Threshold mantissas from here on are met exactly: that costs the scale less than 1 in 64."""


def quantize_loihi(
    graph: ChipGraph, profile: ChipProfile, calibration: Tensor | None = None
) -> LoihiNetwork:
    """Round a network that `check_loihi` has no finding on.

    Args:
        graph: the layers.
        profile: of the chip.
        calibration: events (T, B, *input_shape) that say how far sums and currents reach; without
            them nothing overflows while inputs are 0 or 1, and weights may get fewer bits.

    Raises:
        ProfileError: if the profile's numbers are not those of Loihi's arithmetic.
    """
    numbers = loihi_format(profile)
    reach = reach_of(graph, calibration)
    layers = []
    for layer in graph:
        scale = scale_of(layer, numbers, reach[layer.name])
        rounded = _rounded(layer, numbers, scale)
        while calibration is None and _overflows(layer, rounded):
            scale *= 0.98
            rounded = _rounded(layer, numbers, scale)
        layers.append(rounded)
    return LoihiNetwork(graph, tuple(layers))


def scale_of(layer: Layer, numbers: LoihiFormat, reach: LoihiReach) -> float:
    """Units of the chip's membrane for one unit of the network's."""
    weights = max((float(p.weight.abs().max()) for p in layer.projections), default=0.0)
    threshold = float(layer.threshold.max())
    state = limits(CURRENT_BITS)[1]
    bounds = [
        (numbers.threshold_max, threshold),
        (numbers.bias_max, float(layer.bias.abs().max())),
        (numbers.weight_max, weights),
        (limits(SUM_BITS)[1], reach.total),
        (state, reach.current),
        (state, reach.membrane),
    ]
    scale = min(most / value for most, value in bounds if value > 0)
    mantissa = int(scale * threshold) >> POINT
    if mantissa >= _EXACT_FROM and bool((layer.threshold == threshold).all()):
        scale = (mantissa << POINT) / threshold
    return scale


@dataclass(frozen=True)
class _Stored:
    """Rounded values, and how many the format clipped."""

    values: Tensor
    clipped: int


def _rounded(layer: Layer, numbers: LoihiFormat, scale: float) -> LoihiLayer:
    """The layer at this scale."""
    weights, clipped = [], 0
    for projection in layer.projections:
        stored, lost = stored_weight(scale * projection.weight, numbers)
        weights.append(stored)
        clipped += lost
    thresholds = _clipped(round_half_even(scale * layer.threshold.flatten() / (1 << POINT)), 1,
                          (1 << numbers.threshold_bits) - 1)  # fmt: skip
    mantissa, exponent, lost = stored_bias(scale * layer.bias.flatten(), numbers)
    alpha = None if layer.alpha is None else layer.alpha.flatten()
    neurons = LoihiNeurons(
        decay_u=decay_of_current(alpha),
        decay_v=decay_of_membrane(layer.beta.flatten()),
        threshold=thresholds.values << POINT,
        bias=mantissa << exponent,
    )
    clipped += thresholds.clipped + lost
    return LoihiLayer(layer, scale, tuple(weights), neurons, mantissa, exponent, clipped)


def stored_weight(wanted: Tensor, numbers: LoihiFormat) -> tuple[StoredWeight, int]:
    """Mantissas and exponent of weights in units of the membrane, and how many were clipped."""
    low, high = numbers.mantissa_limits
    for exponent in numbers.exponents:
        grid = 2.0 ** (POINT + exponent + 1)
        mantissa = 2 * round_half_even(wanted / grid)
        if low <= int(mantissa.min()) and int(mantissa.max()) <= high:
            break
    kept = _clipped(mantissa, low, high)
    return StoredWeight(kept.values, exponent), kept.clipped


def stored_bias(wanted: Tensor, numbers: LoihiFormat) -> tuple[Tensor, Tensor, int]:
    """Mantissa and exponent of every bias, and how many were clipped."""
    most = numbers.bias_mantissa_max
    exponent = torch.zeros(wanted.shape, dtype=torch.int64)
    for power in range(numbers.bias_exponent_max):
        exponent += wanted.abs() > (most << power)
    kept = _clipped(round_half_even(wanted / 2.0**exponent), -most, most)
    return kept.values, exponent, kept.clipped


def _clipped(x: Tensor, low: int, high: int) -> _Stored:
    kept = x.clamp(low, high)
    return _Stored(kept, int((kept != x).sum()))


def _overflows(layer: Layer, rounded: LoihiLayer) -> bool:
    """Whether the rounded layer could overflow at worst; rounding up may go past the scale."""
    stored: Sequence[Tensor] = [weight.values.double() for weight in rounded.weights]
    bias = rounded.neurons.bias.double().reshape(layer.shape)
    reach = worst_case(rounded.on_chip(), list(stored), bias)
    return reach.total > limits(SUM_BITS)[1] or reach.current > limits(CURRENT_BITS)[1]
