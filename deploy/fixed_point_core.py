"""A neuron in fixed point, as hardware of one's own may have it, bit for bit.

`docs/cores.md` has the equations of a step. A leak behind the spike is that of the next step: from
rest, `before` and `after` fire alike, and so does `instead_of_spike` where the reset is to zero.
Spiker+ (arXiv:2401.01141) is `shift`, `instead_of_spike`, `floor`, `>` and `saturate`; it narrows
behind every addition, here once behind the sum of a step, which differs only at the rails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mpo_snn.graph.neuron_behaviour import ResetKind
from mpo_snn.profiles.chip import ChipProfile

from .fixed_point import saturate, shift_floor, shift_to_zero, wrap

NO_LEAK = -1
"""In place of a shift: the neuron keeps all of its membrane."""

Rounding = Literal["floor", "zero", "half_even", "half_up"]


@dataclass(frozen=True)
class FixedPointFormat:
    """The choices of a design, as in a profile's [neuron] and [format].

    Attributes:
        leak: how.
        leak_order: when.
        compare: of the membrane with the threshold.
        reset: what a spike does.
        most_spikes: of a neuron in a step.
        weight_bits: signed.
        weight_fraction_bits: of weights and membranes in units of the network; None where every
            layer has a scale of its own.
        state_bits: signed.
        leak_bits: width of the shift k, or L of the factor m / 2^L.
        overflow: of the membrane.
        rounding: of the leak.
        bias: whether neurons add a bias of `state_bits` in every step.
    """

    leak: Literal["none", "shift", "multiply"]
    leak_order: Literal["before", "after", "instead_of_spike"]
    compare: Literal[">", ">="]
    reset: ResetKind
    most_spikes: int
    weight_bits: int
    weight_fraction_bits: int | None
    state_bits: int
    leak_bits: int
    overflow: Literal["saturate", "wrap"]
    rounding: Rounding
    bias: bool = True


def fixed_point_format(profile: ChipProfile) -> FixedPointFormat:
    """What a profile of the family `fixed_point` says."""
    values = {
        name: constant.value
        for table in ("neuron", "format")
        for name, constant in profile.tables[table].items()
    }
    return FixedPointFormat(**{"weight_fraction_bits": None, **values})  # type: ignore[arg-type]


@dataclass(frozen=True)
class FixedPointNeurons:
    """The parameters of a layer; int64 of its shape.

    Attributes:
        leak: shifts k, 0 to 2^leak_bits - 1 or `NO_LEAK`; or factors m, 0 to 2^leak_bits. Unused
            where there is none.
        threshold: >= 1.
        bias: within `state_bits`.
        most_spikes: of this layer, at most that of the format.
    """

    leak: Tensor
    threshold: Tensor
    bias: Tensor
    most_spikes: int


class FixedPointState:
    """A layer as it runs.

    Attributes:
        v: membranes behind the last step, (B, *shape).
        narrowed: membranes that did not fit and were saturated or wrapped, so far.
    """

    def __init__(self, format: FixedPointFormat, neurons: FixedPointNeurons, batch: int) -> None:
        """Start at rest."""
        self.format, self.neurons = format, neurons
        self.v = torch.zeros(batch, *neurons.threshold.shape, dtype=torch.int64)
        self.narrowed = 0

    def step(self, current: Tensor) -> Tensor:
        """Spikes of one timestep, from the exact sum of the weights that arrived, (B, *shape)."""
        chosen, neurons = self.format, self.neurons
        v = self._leaked(self.v) if chosen.leak_order == "before" else self.v
        v = self._narrow(v + current + neurons.bias)
        above = v - 1 if chosen.compare == ">" else v
        n = (above // neurons.threshold).clamp(0, neurons.most_spikes)
        fired = n > 0
        v = v - n * neurons.threshold if chosen.reset == "subtract" else v.masked_fill(fired, 0)
        if chosen.leak_order == "after":
            v = self._leaked(v)
        elif chosen.leak_order == "instead_of_spike":
            v = torch.where(fired, v, self._leaked(v))
        self.v = v
        return n

    def _narrow(self, v: Tensor) -> Tensor:
        narrow = saturate if self.format.overflow == "saturate" else wrap
        fits = narrow(v, self.format.state_bits)
        self.narrowed += int((fits != v).sum())
        return fits

    def _leaked(self, v: Tensor) -> Tensor:
        chosen, leak = self.format, self.neurons.leak
        if chosen.leak == "none":
            return v
        if chosen.leak == "multiply":
            return shift_rounded(v * leak, chosen.leak_bits, chosen.rounding)
        loss = shift_rounded(v, leak.clamp(min=0), chosen.rounding)
        return v - loss.masked_fill(leak == NO_LEAK, 0)


def shift_rounded(x: Tensor, places: int | Tensor, rounding: Rounding) -> Tensor:
    r""":math:`x / 2^{places}` to a whole number: down, towards zero, or to the nearest.

    Args:
        x: int64.
        places: 0 to 31.
        rounding: `half_even` and `half_up` say where halves go.
    """
    if rounding == "floor":
        return shift_floor(x, places)
    if rounding == "zero":
        return shift_to_zero(x, places)
    unit = torch.ones_like(x) << places
    half = unit >> 1
    if rounding == "half_up":
        return shift_floor(x + half, places)
    down = shift_floor(x, places)
    rest = x - down * unit
    is_up = (rest > half) | ((rest == half) & (half > 0) & (down % 2 == 1))
    return down + is_up.to(torch.int64)
