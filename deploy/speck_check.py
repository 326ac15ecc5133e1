"""Whether a network runs on Speck: all findings at once, and what it takes.

sinabs itself looks at memory, square kernels and the stride of pooling; strides, padding, sizes of
kernels and maps, and channels are rules of the vendor's binary library, which stand here too.
Sources of unequal depth are no finding: events take no timesteps to pass a core.
"""

from __future__ import annotations

from contextlib import suppress

from mpo_snn.profiles.chip import ChipProfile

from .finding import CheckResult, Finding, Usage
from .layers import ChipGraph, Layer
from .speck_convolution import Convolution, NoConvolution, as_convolution
from .speck_loading import loading_findings
from .speck_placement import Memory, Placement, memory_of, place
from .speck_quantize import bits_of, lowest_membrane
from .speck_rules import (
    EVENTS,
    map_findings,
    neuron_findings,
    neuron_warnings,
    projection_findings,
    projection_warnings,
    recurrence_findings,
)
from .speck_scale import layer_scale, scaled


def check_speck(graph: ChipGraph, profile: ChipProfile) -> CheckResult:
    """Check every layer, the connections between them, and the placement on cores."""
    findings: list[Finding] = []
    warnings: list[Finding] = []
    for layer in graph:
        findings += neuron_findings(layer)
        findings += recurrence_findings(graph, layer)
        for projection in layer.projections:
            findings += projection_findings(projection, profile)
            warnings += projection_warnings(projection)
        try:
            convolution = as_convolution(layer)
        except NoConvolution as error:
            findings.append(Finding(error.where, error.found, error.allowed, error.fix, EVENTS))
            continue
        findings += map_findings(layer, convolution, profile)
        warnings += neuron_warnings(graph, layer, convolution)
        _weigh(layer, convolution, profile, findings, warnings)
    findings += _fan_out(graph, profile)
    placement = placement_of(graph, profile)
    findings += placement.findings
    warnings += _read_out(graph, profile)
    warnings += loading_findings(graph)
    states = sum(layer.size for layer in graph), sum(profile.value("limit.neuron_memory"))
    usage = (*placement.usage, Usage("neurons", *states, "neurons"))
    places = {name: f"core {core}" for name, core in placement.cores.items()}
    return CheckResult(tuple(findings), usage, tuple(warnings), places)


def placement_of(graph: ChipGraph, profile: ChipProfile) -> Placement:
    """The core of every layer that is one convolution."""
    needs: dict[str, Memory] = {}
    for layer in graph:
        with suppress(NoConvolution):
            needs[layer.name] = memory_of(as_convolution(layer), bool(layer.bias.any()))
    return place(needs, profile)


def _weigh(
    layer: Layer,
    convolution: Convolution,
    profile: ChipProfile,
    findings: list[Finding],
    warnings: list[Finding],
) -> None:
    """What the scale that all numbers of a layer share leaves of its weights and threshold."""
    bits, threshold = bits_of(profile), float(layer.threshold.max())
    lower = lowest_membrane(layer, convolution, bits, None)[0]
    scale = layer_scale(convolution.weight, layer.bias, threshold, lower, bits)
    weight = scaled(convolution.weight, scale)
    there, left = int((convolution.weight != 0).sum()), int((weight != 0).sum())
    where, source = layer.name, profile.constant("format.weight_bits").source
    bound_by = "lowest membrane" if scale.bound_by == "lower" else scale.bound_by
    if round(threshold * scale.factor) == 0:
        findings.append(
            Finding(
                where,
                f"a threshold of {threshold:.4g} beside {bound_by} that leave it 0 units",
                "a threshold of one unit or more at the scale of the layer",
                f"train with smaller {bound_by}",
                source,
            )
        )
    if there and not left:
        findings.append(
            Finding(
                where,
                f"{bound_by} so large that all {there:,} weights become 0",
                "one scale per layer for weights, bias, threshold and lowest membrane",
                f"bring the {bound_by} nearer to the weights",
                source,
            )
        )
    elif there and scale.bound_by != "weights":
        warnings.append(
            Finding(
                where,
                f"a scale that its {bound_by} bounds: weights reach"
                f" {int(weight.abs().max())} units, and {there - left:,} of {there:,} become 0",
                f"weights of up to {2 ** (bits.weight - 1) - 1} units",
                f"bring the {bound_by} nearer to the weights",
                source,
            )
        )


def _fan_out(graph: ChipGraph, profile: ChipProfile) -> list[Finding]:
    most = profile.value("limit.fan_out")
    findings = []
    for layer in graph:
        reached = [
            reader.name
            for reader in graph.readers(layer.name)
            for source in reader.sources
            if source == layer.name
        ]
        if len(reached) > most:
            findings.append(
                Finding(
                    layer.name,
                    f"{len(reached)} destinations ({', '.join(reached)})",
                    f"{most} destinations of a core",
                    "branch in two steps, or leave out connections",
                    profile.constant("limit.fan_out").source,
                )
            )
    return findings


def _read_out(graph: ChipGraph, profile: ChipProfile) -> list[Finding]:
    most, classes = profile.value("neuron.readout_classes"), graph.output.size
    if classes <= most:
        return []
    return [
        Finding(
            graph.output.name,
            f"{classes} classes",
            f"up to {most} in the read-out of the chip",
            "count the output events of the last core on the host",
            profile.constant("neuron.readout_classes").source,
        )
    ]
