"""Which check, quantizer and arithmetic a chip gets: by the family that its profile names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from mpo_snn.profiles.chip import ChipProfile

from .finding import CheckResult
from .fixed_point_check import check_fixed_point
from .fixed_point_quantize import quantize_fixed_point
from .layers import ChipGraph
from .loihi_check import check_loihi
from .loihi_quantize import quantize_loihi
from .quantized import IntegerNetwork
from .speck_check import check_speck
from .speck_quantize import quantize_speck
from .spinnaker2_check import check_spinnaker2
from .xylo_check import check_xylo
from .xylo_quantize import quantize_xylo

Check = Callable[[ChipGraph, ChipProfile], CheckResult]
Quantize = Callable[[ChipGraph, ChipProfile, Tensor | None], IntegerNetwork]


@dataclass(frozen=True)
class Family:
    """What can be done for the chips of a family.

    Attributes:
        check: every rule, and resources.
        quantize: the integer network; None where no arithmetic is known exactly.
        arithmetic: whose integers it reproduces, for people.
    """

    check: Check
    quantize: Quantize | None
    arithmetic: str


FAMILIES = {
    "xylo": Family(check_xylo, quantize_xylo, "xylosim 0.1.3, core v2"),
    "speck": Family(
        check_speck,
        quantize_speck,
        "sinabs 3.1.3 DynapcnnNetwork, step by step (not event by event)",
    ),
    "loihi": Family(check_loihi, quantize_loihi, "nengo-loihi 1.1.0, two's complement"),
    "fixed_point": Family(check_fixed_point, quantize_fixed_point, "the profile's own parameters"),
    "spinnaker2": Family(check_spinnaker2, None, "none: weights are scaled, nothing is simulated"),
}


def family_of(profile: ChipProfile) -> Family:
    """The family of a profile."""
    return FAMILIES[profile.family]


def can_quantize(profile: ChipProfile) -> bool:
    """Whether networks can be deployed to a chip, not only checked."""
    return family_of(profile).quantize is not None
