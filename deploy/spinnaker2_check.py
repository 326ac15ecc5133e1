r"""Whether a network runs on SpiNNaker2, and the scales of its weights.

Neurons are software in floating point there; weights alone are integers, one scale for each target
population: :math:`w_\text{scale} = 127 / \max|W|`, by which thresholds and biases are multiplied
along. The simulator of py-spinnaker2 cannot be installed from the Python index, so nothing is
simulated here.

A layer is split over processing elements. An element holds at most `limit.neurons_per_element` of
its neurons and, at one byte a weight, the weights into them; the program and what neurons remember
come on top, so the number of elements is a lower bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from mpo_snn.profiles.chip import ChipProfile

from .finding import CheckResult, Finding, Usage
from .layers import INPUT, ChipGraph, Layer, Projection

CONVERTER = "py-spinnaker2's converter s2_nir in a public copy"


def check_spinnaker2(graph: ChipGraph, profile: ChipProfile) -> CheckResult:
    """Check every layer, what they have in common, and the elements that they take.

    Args:
        graph: the layers.
        profile: of the family `spinnaker2`.
    """
    findings = [
        finding
        for layer in graph
        for finding in (*_convolution_findings(graph, layer), *neuron_findings(layer))
    ]
    kinds = sorted({layer.reset for layer in graph})
    if len(kinds) > 1:
        findings.append(
            Finding(
                "network",
                f"layers with reset {' and with reset '.join(kinds)}",
                "one reset for all, chosen when the network is loaded",
                "train all layers with the same reset (--neuron.reset zero or subtract)",
                CONVERTER,
            )
        )
    elements, placement = 0, {}
    for layer in graph:
        taken = elements_of(layer, profile)
        if taken is None:
            findings.append(
                Finding(
                    layer.name,
                    f"{_bytes(layer, 1):,} bytes of weights into one neuron",
                    f"{profile.value('limit.memory_bytes'):,} bytes in a processing element",
                    "train a layer with fewer inputs",
                    profile.constant("limit.memory_bytes").source,
                )
            )
            continue
        last = elements + taken - 1
        placement[layer.name] = f"element {last}" if taken == 1 else f"elements {elements}-{last}"
        elements += taken
    available = profile.value("limit.elements")
    if elements > available:
        findings.append(
            Finding(
                "network",
                f"at least {elements:,} processing elements",
                f"{available:,} processing elements",
                "train a smaller network (--network.channel_scale 0.5)",
                profile.constant("limit.elements").source,
            )
        )
    usage = Usage("processing elements, at least", elements, available, "processing elements")
    scales = weight_scales(graph, profile)
    return CheckResult(tuple(findings), (usage,), placement=placement, scales=scales)


def weight_scales(graph: ChipGraph, profile: ChipProfile) -> dict[str, float]:
    """By layer: what weights, threshold and bias are multiplied by; 1 where all weights are 0."""
    most = 2 ** (profile.value("format.weight_bits") - 1) - 1
    largest = {
        layer.name: max(float(projection.weight.abs().max()) for projection in layer.projections)
        for layer in graph
    }
    return {name: most / weight if weight else 1.0 for name, weight in largest.items()}


def elements_of(layer: Layer, profile: ChipProfile) -> int | None:
    """Processing elements that a layer takes at least; None if one neuron fills more than one."""
    memory, most = profile.value("limit.memory_bytes"), profile.value("limit.neurons_per_element")
    if _bytes(layer, 1) > memory:
        return None
    low, high = 1, min(most, layer.size)
    while low < high:  # the most neurons whose weights fit; bytes grow with neurons
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _bytes(layer, middle) <= memory else (low, middle - 1)
    return math.ceil(layer.size / low)


def _bytes(layer: Layer, neurons: int) -> int:
    """Of weights into so many neurons side by side: rows of a matrix, or kernels of channels."""
    return sum(_rows(p, neurons) * p.weight[0].numel() for p in layer.projections)


def _rows(projection: Projection, neurons: int) -> int:
    if projection.kind == "dense":
        return neurons
    return math.ceil(neurons / math.prod(projection.output_shape[1:]))


def neuron_findings(layer: Layer) -> Iterator[Finding]:
    """What its neurons do not do."""
    if layer.most_spikes > 1:
        yield Finding(
            layer.name,
            f"up to {layer.most_spikes:,} spikes of a neuron in a step",
            "one spike of a neuron in a step",
            "train with --neuron.most_spikes 1, or --target",
            CONVERTER,
        )
    if layer.lower is not None:
        yield Finding(
            layer.name,
            f"a lowest membrane of {layer.lower:.4g}",
            "membranes without a lowest value",
            "train with --neuron.lower null, or --target",
            CONVERTER,
        )


def _convolution_findings(graph: ChipGraph, layer: Layer) -> Iterator[Finding]:
    """What the converter does not have."""

    def finding(found: str, allowed: str, fix: str) -> Finding:
        return Finding(layer.name, found, allowed, fix, CONVERTER)

    order = {one.name: index for index, one in enumerate(graph)}
    convolutions = [p for p in layer.projections if p.kind == "convolution"]
    if convolutions and layer.alpha is not None:
        yield finding(
            "a convolution into neurons with a synapse",
            "convolutions into IF and LIF neurons",
            "train with --neuron.model leaky",
        )
    for projection in convolutions:
        if projection.source != INPUT and order[projection.source] >= order[layer.name]:
            yield finding(
                f"a convolution back from '{projection.source}'",
                "convolutions without delay, which cannot lead back",
                "make the recurrent connection a dense one, or leave it out",
            )
