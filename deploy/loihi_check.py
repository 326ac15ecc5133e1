"""What stands between a network and Loihi, all at once.

Loihi's neuron resets to zero, spikes once a step and has no lowest membrane of one's own choice.
Every connection takes a timestep, so all ways to a layer must be equally long.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from mpo_snn.profiles.chip import ChipProfile

from .delays import delay_findings
from .finding import CheckResult, Finding, Usage
from .layers import INPUT, ChipGraph, Layer
from .loihi_core import DECAY_ONE
from .loihi_format import alpha_of, beta_of, decay_of_current, decay_of_membrane, loihi_format
from .loihi_placement import RESOURCES, place_loihi
from .project import targets_of

_NEURON = "nengo-loihi 1.1.0, nengo_loihi/emulator/interface.py; lava 0.10.0, proc/lif/models.py"
_BINARY = ("rate", "latency", "counts")
"""Encodings of at most one event in a step."""


def check_loihi(graph: ChipGraph, profile: ChipProfile) -> CheckResult:
    """Compare a network with a profile of the family `loihi`.

    Limits that the profile does not have are not checked, which a warning says.

    Raises:
        ProfileError: if the profile's numbers are not those of Loihi's arithmetic.
    """
    loihi_format(profile)
    placement = place_loihi(graph, profile)
    findings = [finding for layer in graph for finding in neuron_findings(layer)]
    findings += delay_findings(graph)
    totals = (_neurons(graph, profile), _synapses(graph, profile))
    for usage in totals:
        if usage.share > 1:
            findings.append(
                Finding(
                    "network",
                    f"{usage.used:,} {usage.unit}",
                    f"up to {usage.available:,}",
                    "train a smaller network (--network.channel_scale 0.5)",
                    profile.constant(f"limit.{usage.unit}").source,
                )
            )
    return CheckResult(
        (*findings, *placement.findings),
        (*totals, *placement.usage),
        tuple(_warnings(graph, profile)),
        placement.places,
    )


def neuron_findings(layer: Layer) -> Iterator[Finding]:
    """What the neurons of the chip do not do."""
    if layer.reset != "zero":
        yield Finding(
            layer.name,
            f"reset '{layer.reset}'",
            "'zero'",
            "train with --neuron.reset zero, or --target",
            _NEURON,
        )
    if layer.most_spikes != 1:
        yield Finding(
            layer.name,
            f"up to {layer.most_spikes} spikes a step",
            "1",
            "train with --neuron.most_spikes 1, or --target",
            _NEURON,
        )
    if layer.lower is not None:
        yield Finding(
            layer.name,
            f"a lowest membrane of {layer.lower:g}",
            "none but that of the register, -2^23 + 1 units of the chip",
            "train with --neuron.lower null, or --target",
            _NEURON,
        )


def _neurons(graph: ChipGraph, profile: ChipProfile) -> Usage:
    neurons = sum(layer.size for layer in graph)
    return Usage("neurons", neurons, profile.value("limit.neurons"), "neurons")


def _synapses(graph: ChipGraph, profile: ChipProfile) -> Usage:
    """Weights that are there, those behind a pooling once for every neuron of its window."""
    synapses = sum(
        targets_of(projection, projection.weight, torch.ones(1, *projection.source_shape))
        for layer in graph
        for projection in layer.projections
    )
    return Usage("synapses", synapses, profile.value("limit.synapses"), "synapses")


def _warnings(graph: ChipGraph, profile: ChipProfile) -> Iterator[Finding]:
    silent = [name for name, key in RESOURCES.items() if key not in profile]
    if silent:
        yield Finding(
            "network",
            f"nothing is public about {', '.join(silent)} of a core, so they were not checked",
            "whatever the vendor's tools accept",
            "check with them",
        )
    if graph.encoding not in _BINARY:
        yield Finding(
            INPUT,
            f"encoding '{graph.encoding}' may give an input several events in a step",
            "one spike of an input in a step",
            "send as many spikes, whose weights add up in nengo-loihi's emulator, or train with"
            f" the encoding {', '.join(_BINARY[:-1])} or {_BINARY[-1]}",
        )
    off = max((_rounding(layer) for layer in graph), default=0.0)
    if off > 0:
        yield Finding(
            "network",
            f"leaks are rounded by up to {off:.1g}",
            f"parts of {DECAY_ONE}",
            "compare the accuracies before and after",
            _NEURON,
        )
    hops = graph.depth()
    early = [f"'{layer.name}' {hops[layer.name]}" for layer in graph if bool(layer.bias.any())]
    if early:
        yield Finding(
            "network",
            f"biases act some steps before the first input arrives: {', '.join(early)}",
            "biases, from the first step on",
            "nothing; the run in integers does the same",
            _NEURON,
        )


def _rounding(layer: Layer) -> float:
    """Largest change of a leak."""
    off = (beta_of(decay_of_membrane(layer.beta)) - layer.beta).abs().max()
    if layer.alpha is not None:
        alpha = alpha_of(decay_of_current(layer.alpha))
        off = torch.maximum(off, (alpha - layer.alpha).abs().max())
    return float(off)
