r"""What follows from thresholds that a file states in float32, in bounds relative to the threshold.

A threshold :math:`\theta` is rounded to :math:`\theta (1 - \delta)`, :math:`0 \le \delta \le
2^{-23}` (`foldings.above_threshold`). On the same input, after n spikes:

- a neuron that resets to a value has the same membrane;
- one that subtracts its threshold, :math:`v = S - \theta \sum \beta^k` over its n spikes, is off by
  at most :math:`n \delta \theta`;
- measured in units of its own threshold either is off by :math:`\delta S / \theta`, which is at
  most :math:`(1 + n) \delta` of the larger of membrane and threshold;
- a first spike more lies within :math:`(1 + n) \delta \theta` of the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

FLOAT32_STEP = 2.0**-23
"""The most by which numbers of float32 lie apart, relative to them."""


@dataclass(frozen=True)
class ThresholdRounding:
    """How the rounding of thresholds acts in what is compared.

    Attributes:
        units: whether membranes are measured in units of a rounded threshold.
        subtracts: whether the neurons subtract it.
    """

    units: bool
    subtracts: bool

    def of_membranes(self, spikes: Tensor) -> Tensor:
        """How far membranes may be off, relative to the threshold, (time, batch, *features)."""
        return FLOAT32_STEP * (int(self.units) + self._subtracted(spikes))

    def of_spikes(self, spikes: Tensor) -> Tensor:
        """How far from the threshold a neuron may be where it first fires otherwise."""
        return FLOAT32_STEP * (1 + self._subtracted(spikes))

    def _subtracted(self, spikes: Tensor) -> Tensor:
        """n, the spikes up to each step; 0 for neurons that do not subtract."""
        return spikes.double().cumsum(0) * int(self.subtracts)


def rounding_note(title: str, rounding: ThresholdRounding) -> str:
    """What the rounding allows, for who reads the proof."""
    what = "membranes and first" if rounding.units or rounding.subtracts else "first"
    more = ", and as much for each spike before" if rounding.subtracts else ""
    return (
        f"{title} states thresholds in float32, so {what} differences of spikes are"
        f" held to {FLOAT32_STEP:.2g} of the threshold in float64{more}."
    )


def is_float32(values: Any) -> bool:
    """Whether all values are numbers of float32."""
    exact = np.asarray(values, dtype=np.float64)
    return bool(np.array_equal(exact, exact.astype(np.float32)))
