"""Whether a network runs on hardware in fixed point: all findings at once, and what it takes.

The profile limits neurons and synapses only where it says so: how many fit depends on the device. A
synapse is a weight that is stored; a convolution stores its kernel once.
"""

from __future__ import annotations

from mpo_snn.profiles.chip import ChipProfile

from .finding import CheckResult, Finding, Usage, span
from .fixed_point_core import fixed_point_format
from .fixed_point_rules import arithmetic_findings
from .fixed_point_scale import beta_of, round_leak
from .layers import ChipGraph, Layer


def check_fixed_point(graph: ChipGraph, profile: ChipProfile) -> CheckResult:
    """Check every layer, and the totals against the limits that the profile has.

    Args:
        graph: the layers.
        profile: of the family `fixed_point`.
    """
    findings = [finding for layer in graph for finding in arithmetic_findings(layer, profile)]
    warnings = [warning for layer in graph for warning in _warnings(layer, profile)]
    usage = []
    taken = {
        "neurons": sum(layer.size for layer in graph),
        "synapses": sum(p.weight.numel() for layer in graph for p in layer.projections),
    }
    for resource, used in taken.items():
        key = f"limit.{resource}"
        if key not in profile:
            warnings.append(
                Finding(
                    "network",
                    f"{used:,} {resource}, not checked",
                    "unknown, the profile has no limit",
                    f"add [{key}] to a profile of your own",
                )
            )
            continue
        usage.append(Usage(resource, used, profile.value(key), resource))
        if used > profile.value(key):
            findings.append(
                Finding(
                    "network",
                    f"{used:,} {resource}",
                    f"up to {profile.value(key):,}",
                    "train a smaller network (--network.channel_scale 0.5)",
                    profile.constant(key).source,
                )
            )
    return CheckResult(tuple(findings), tuple(usage), tuple(warnings))


def _warnings(layer: Layer, profile: ChipProfile) -> list[Finding]:
    """What the hardware does otherwise, although it runs the layer."""
    chosen, warnings = fixed_point_format(profile), []
    rounded = beta_of(round_leak(layer.beta, chosen), chosen)
    off = rounded - layer.beta
    if bool((off.abs() > 1e-9).any()) and chosen.leak != "none":
        place = int(off.abs().argmax())
        real, left = float(layer.beta.flatten()[place]), float(rounded.flatten()[place])
        nearest = "1 - 2^-k" if chosen.leak == "shift" else f"m / {2**chosen.leak_bits:,}"
        leaks = len(set(layer.beta.flatten().tolist()))
        worst = f", the worst of {leaks:,} leaks from {span(layer.beta)}" if leaks > 1 else ""
        warnings.append(
            Finding(
                layer.name,
                f"leak beta = {real:.4g} becomes {left:.4g}{worst}",
                f"beta = {nearest}",
                f"train with --neuron.beta {left:.4g}",
                profile.constant("neuron.leak").source,
            )
        )
    if chosen.compare == ">" and layer.most_spikes > 1:
        warnings.append(
            Finding(
                layer.name,
                "several spikes in a step from the threshold on",
                "spikes above the threshold, which differ where both are equal",
                "none needed unless membranes often meet the threshold",
                profile.constant("neuron.compare").source,
            )
        )
    if chosen.compare == ">=" and layer.most_spikes == 1 and layer.reset == "subtract":
        warnings.append(
            Finding(
                layer.name,
                "a spike above the threshold",
                "a spike from the threshold on, which differs where both are equal",
                "none needed unless membranes often meet the threshold",
                profile.constant("neuron.compare").source,
            )
        )
    return warnings
