r"""Numbers as Loihi stores them: mantissas, exponents and decays.

- weight: an even 8-bit mantissa, -256 to 254, times :math:`2^{6 + e}`, one exponent e for a
  projection;
- threshold: a mantissa of 17 bits without sign, times 64;
- bias: a mantissa of 13 bits times :math:`2^e` with e from 0 to 7, for every neuron;
- decay: so many parts in 4096 that are lost at every step.

Exponents below -1 are not used. There a weight falls below the last of the 6 bits: nengo-loihi
1.1.0 drops it from every weight, lava 0.10.0 from their sum, and mantissas at -1 say the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mpo_snn.errors import ProfileError
from mpo_snn.profiles.chip import ChipProfile

from .fixed_point import round_half_even
from .loihi_core import CURRENT_BITS, DECAY_ONE, SUM_BITS

POINT = 6
"""Bits by which weights and thresholds stand above the last bit of the membrane."""
_CORE = {"decay": 12, "sum": SUM_BITS, "state": CURRENT_BITS}


@dataclass(frozen=True)
class LoihiFormat:
    """What a profile says about numbers.

    Attributes:
        weight_bits: of a mantissa; the last of them is the sign's, so mantissas are even.
        exponents: that a projection may have, ascending.
        threshold_bits: of a mantissa.
        bias_bits: of a mantissa, with its sign.
        bias_exponent_bits: of the exponent.
    """

    weight_bits: int
    exponents: tuple[int, ...]
    threshold_bits: int
    bias_bits: int
    bias_exponent_bits: int

    @property
    def mantissa_limits(self) -> tuple[int, int]:
        """Lowest and highest weight mantissa."""
        return -(1 << self.weight_bits), (1 << self.weight_bits) - 2

    @property
    def weight_max(self) -> int:
        """Largest weight of both signs, in units of the membrane."""
        return self.mantissa_limits[1] << POINT << self.exponents[-1] + 1 >> 1

    @property
    def threshold_max(self) -> int:
        """Largest threshold, in units of the membrane."""
        return ((1 << self.threshold_bits) - 1) << POINT

    @property
    def bias_mantissa_max(self) -> int:
        """Largest bias mantissa of both signs."""
        return (1 << (self.bias_bits - 1)) - 1

    @property
    def bias_exponent_max(self) -> int:
        """Largest bias exponent."""
        return (1 << self.bias_exponent_bits) - 1

    @property
    def bias_max(self) -> int:
        """Largest bias, in units of the membrane."""
        return self.bias_mantissa_max << self.bias_exponent_max


def loihi_format(profile: ChipProfile) -> LoihiFormat:
    """The numbers of a profile.

    Raises:
        ProfileError: if they are not those of the arithmetic in `loihi_core`.
    """
    findings = [
        f"format.{name}_bits is {profile.value(f'format.{name}_bits')}, the arithmetic has {bits}"
        for name, bits in _CORE.items()
        if profile.value(f"format.{name}_bits") != bits
    ]
    low, high = (profile.value(f"format.weight_exponent_{end}") for end in ("low", "high"))
    exponents = tuple(range(max(low, -1), high + 1))
    if not exponents:
        findings.append(
            f"format.weight_exponent goes from {low} to {high}, expected -1 or more at its end"
        )
    if findings:
        raise ProfileError(f"chip profile '{profile.name}' does not suit Loihi", findings)
    return LoihiFormat(
        profile.value("format.weight_bits"),
        exponents,
        profile.value("format.threshold_bits"),
        profile.value("format.bias_bits"),
        profile.value("format.bias_exponent_bits"),
    )


def decay_of_current(alpha: Tensor | None) -> Tensor:
    """Stored decay of the current for a leak per step; 4095, all of it, without a synapse."""
    if alpha is None:
        return torch.tensor(DECAY_ONE - 1)
    return (round_half_even(DECAY_ONE * (1 - alpha)) - 1).clamp(0, DECAY_ONE - 1)


def decay_of_membrane(beta: Tensor) -> Tensor:
    """Stored decay of the membrane for a leak per step; 1 part in 4096 is the least that stays."""
    return round_half_even(DECAY_ONE * (1 - beta)).clamp(0, DECAY_ONE - 1)


def alpha_of(decay_u: Tensor) -> Tensor:
    """Leak of the current per step that a stored decay stands for."""
    return (DECAY_ONE - 1 - decay_u).double() / DECAY_ONE


def beta_of(decay_v: Tensor) -> Tensor:
    """Leak of the membrane per step that a stored decay stands for."""
    return (DECAY_ONE - decay_v).double() / DECAY_ONE
