"""Which check, quantizer and arithmetic a chip gets: by the family that its profile names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from mpo_snn.graph.neuron_behaviour import ResetKind
from mpo_snn.profiles.chip import ChipProfile

from .finding import CheckResult, Finding
from .fixed_point_check import check_fixed_point
from .fixed_point_core import fixed_point_format
from .fixed_point_quantize import quantize_fixed_point
from .fixed_point_rules import arithmetic_findings
from .layers import ChipGraph, Layer
from .loihi_check import check_loihi
from .loihi_check import neuron_findings as loihi_neuron
from .loihi_quantize import quantize_loihi
from .quantized import IntegerNetwork
from .read_layers import RESETS
from .speck_check import check_speck
from .speck_quantize import quantize_speck
from .speck_rules import neuron_findings as speck_neuron
from .spinnaker2_check import check_spinnaker2
from .spinnaker2_check import neuron_findings as spinnaker2_neuron
from .xylo_check import check_xylo
from .xylo_check import neuron_findings as xylo_neuron
from .xylo_quantize import quantize_xylo

Check = Callable[[ChipGraph, ChipProfile], CheckResult]
NeuronRules = Callable[[Layer, bool, ChipProfile], Iterable[Finding]]
Resets = Callable[[ChipProfile], Sequence[ResetKind]]
Quantize = Callable[[ChipGraph, ChipProfile, Tensor | None], IntegerNetwork]


@dataclass(frozen=True)
class Family:
    """What can be done for the chips of a family.

    Attributes:
        check: every rule, and resources.
        neuron: the rules for the neurons of a layer, which may be the output, alone.
        resets: what its neurons do at a spike.
        quantize: the integer network; None where no arithmetic is known exactly.
        arithmetic: whose integers it reproduces, for people.
        has_synapse: whether its neurons have one that decays; None where they may.
    """

    check: Check
    neuron: NeuronRules
    resets: Resets
    quantize: Quantize | None
    arithmetic: str
    has_synapse: bool | None


FAMILIES = {
    "xylo": Family(
        check_xylo,
        xylo_neuron,
        lambda _: ("subtract",),
        quantize_xylo,
        "xylosim 0.1.3, core v2",
        has_synapse=True,
    ),
    "speck": Family(
        check_speck,
        lambda layer, is_output, profile: speck_neuron(layer),
        lambda _: RESETS,
        quantize_speck,
        "sinabs 3.1.3 DynapcnnNetwork, step by step (not event by event)",
        has_synapse=False,
    ),
    "loihi": Family(
        check_loihi,
        lambda layer, is_output, profile: loihi_neuron(layer),
        lambda _: ("zero",),
        quantize_loihi,
        "nengo-loihi 1.1.0, two's complement",
        has_synapse=None,
    ),
    "fixed_point": Family(
        check_fixed_point,
        lambda layer, is_output, profile: arithmetic_findings(layer, profile),
        lambda profile: (fixed_point_format(profile).reset,),
        quantize_fixed_point,
        "the profile's own parameters",
        has_synapse=False,
    ),
    "spinnaker2": Family(
        check_spinnaker2,
        lambda layer, is_output, profile: spinnaker2_neuron(layer),
        lambda _: RESETS,
        None,
        "none: weights are scaled, nothing is simulated",
        has_synapse=None,
    ),
}


def family_of(profile: ChipProfile) -> Family:
    """The family of a profile."""
    return FAMILIES[profile.family]


def can_quantize(profile: ChipProfile) -> bool:
    """Whether networks can be deployed to a chip, not only checked."""
    return family_of(profile).quantize is not None
