"""What a layer may be on hardware in fixed point, rule by rule; each gives a finding, or none."""

from __future__ import annotations

from collections.abc import Iterator

from mpo_snn.profiles.chip import ChipProfile

from .finding import Finding, span
from .fixed_point import limits, round_half_even
from .fixed_point_core import FixedPointFormat, fixed_point_format
from .fixed_point_scale import beta_of, layer_scale, round_leak, round_threshold
from .layers import Layer


def arithmetic_findings(layer: Layer, profile: ChipProfile) -> Iterator[Finding]:
    """Where the arithmetic of the hardware is not that of the layer, or leaves nothing of it."""
    chosen = fixed_point_format(profile)

    def finding(key: str, found: str, allowed: str, fix: str) -> Finding:
        return Finding(layer.name, found, allowed, fix, profile.constant(key).source)

    if layer.alpha is not None and bool(layer.alpha.any()):
        yield finding(
            "neuron.leak",
            f"a synapse with leak {span(layer.alpha)}",
            "neurons without a synapse",
            "train with --neuron.model leaky, or --target",
        )
    if layer.reset != chosen.reset:
        yield finding(
            "neuron.reset",
            f"reset {layer.reset}",
            f"reset {chosen.reset}",
            f"train with --neuron.reset {chosen.reset}, or --target",
        )
    if layer.most_spikes > chosen.most_spikes:
        yield finding(
            "neuron.most_spikes",
            f"up to {layer.most_spikes:,} spikes of a neuron in a step",
            f"up to {chosen.most_spikes:,}",
            f"train with --neuron.most_spikes {chosen.most_spikes}, or --target",
        )
    if layer.lower is not None and -layer.lower * layer_scale(layer, chosen) < _rail(chosen):
        yield finding(
            "format.overflow",
            f"a lowest membrane of {layer.lower:.4g}",
            f"no other than the end of {chosen.state_bits} bits",
            "train with --neuron.lower null, or --target",
        )
    if not chosen.bias and bool(layer.bias.any()):
        yield finding(
            "neuron.bias",
            f"a bias of {span(layer.bias)} in every timestep",
            "neurons without a bias",
            "train with --network.bias false and --network.normalise false, or --target",
        )
    yield from _leak_findings(layer, profile, chosen)
    yield from _scale_findings(layer, profile, chosen)


def _leak_findings(
    layer: Layer, profile: ChipProfile, chosen: FixedPointFormat
) -> Iterator[Finding]:
    leaks, source = bool((layer.beta != 1.0).any()), profile.constant("neuron.leak").source
    if leaks and chosen.leak == "none":
        yield Finding(
            layer.name,
            f"leak beta = {span(layer.beta)}",
            "beta = 1, neurons that keep all of their membrane",
            "train with --neuron.beta 1 --neuron.input_gain unit, or --target",
            source,
        )
        return
    rounded = beta_of(round_leak(layer.beta, chosen), chosen)
    lost = ((layer.beta < 1) & (rounded == 1)) | ((layer.beta > 0) & (rounded == 0))
    if bool(lost.any()):
        steps = beta_of(round_leak(layer.beta[lost], chosen), chosen)
        how = "a shift" if chosen.leak == "shift" else "a factor"
        yield Finding(
            layer.name,
            f"leak beta = {span(layer.beta[lost])}, which rounds to {span(steps)}",
            f"what {how} of {chosen.leak_bits} bits tells from 0 and 1",
            "train with a leak nearer to the middle (--neuron.beta), or give the leak more bits",
            profile.constant("format.leak_bits").source,
        )
    subtracts = layer.reset == chosen.reset == "subtract"  # another reset is told by itself
    if leaks and chosen.leak_order == "instead_of_spike" and subtracts:
        yield Finding(
            layer.name,
            "reset subtract with a leak in every step",
            "a leak only in steps without a spike",
            "train with --neuron.beta 1 --neuron.input_gain unit, which does not leak, or give the"
            " design another reset or order",
            profile.constant("neuron.leak_order").source,
        )


def _scale_findings(
    layer: Layer, profile: ChipProfile, chosen: FixedPointFormat
) -> Iterator[Finding]:
    scale = layer_scale(layer, chosen)
    threshold = round_threshold(layer, chosen, scale)
    is_fixed = chosen.weight_fraction_bits is not None
    bits = "format.weight_fraction_bits" if is_fixed else "format.weight_bits"
    source = profile.constant(bits).source
    at = f"{scale:.4g} units for one of the network"
    if int(round_half_even(layer.threshold * scale).min()) < 1:
        yield Finding(
            layer.name,
            f"a threshold of {float(layer.threshold.min()):.4g}, 0 units at {at}",
            "one unit or more",
            "train with smaller weights or a larger threshold, or with more bits",
            source,
        )
    if int(threshold.max()) > _rail(chosen) - (chosen.compare == ">"):
        yield Finding(
            layer.name,
            f"a threshold of {float(layer.threshold.max()):.4g}, {int(threshold.max()):,} units",
            f"what a membrane of {chosen.state_bits} bits can pass",
            "give membranes more bits, or train with a smaller threshold",
            profile.constant("format.state_bits").source,
        )
    there = sum(int((p.weight != 0).sum()) for p in layer.projections)
    left = sum(int((round_half_even(p.weight * scale) != 0).sum()) for p in layer.projections)
    if there and not left:
        yield Finding(
            layer.name,
            f"all {there:,} weights round to 0 at {at}",
            "weights of one unit or more",
            "train with larger weights or a smaller threshold, or with more bits",
            source,
        )


def _rail(chosen: FixedPointFormat) -> int:
    return limits(chosen.state_bits)[1]
