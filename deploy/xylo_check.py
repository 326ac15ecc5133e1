"""What Xylo cannot do of a network, and how much of the chip it takes.

Of these rules the vendor's mapper leaves out: reach of inputs and outputs, fan-out, more inputs or
outputs than there are (a warning there), and Audio 3's 32 outputs (it warns above 16).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mpo_snn.profiles.chip import ChipProfile

from .delays import delay_findings
from .dense import dense_matrix
from .finding import CheckResult, Finding, Usage
from .layers import INPUT, ChipGraph, Layer
from .xylo_layout import hidden_places

NEAR = 1e-6
"""How far a leak may be from one that bit shifts have: what float32 leaves of it."""


def check_xylo(graph: ChipGraph, profile: ChipProfile) -> CheckResult:
    """Every rule of the family; a `Finding` for each that is broken, a `Usage` per resource.

    Args:
        graph: the network.
        profile: of family xylo.
    """
    findings = [
        *(
            finding
            for layer in graph
            for finding in neuron_findings(layer, layer is graph.output, profile)
        ),
        *_structure_findings(graph, profile),
        *delay_findings(graph),
    ]
    usage = _usage(graph, profile)
    findings += [
        Finding(
            "network",
            f"{one.used:g} {one.resource}",
            f"up to {one.available:g}",
            _fix(one.resource, graph, profile),
            profile.constant(_KEYS[one.resource]).source,
        )
        for one in usage
        if one.share > 1
    ]
    return CheckResult(tuple(findings), tuple(usage))


_KEYS = {
    "input channels": "limit.inputs",
    "hidden neurons": "limit.hidden",
    "output neurons": "limit.outputs",
    "largest fan-out": "limit.fan_out",
    "recurrent and output weights": "limit.recurrent_weights",
    "hidden neurons that inputs reach": "limit.input_reach",
    "hidden neurons that outputs read": "limit.output_reach",
}
_FIXES = {
    "input channels": "show images row by row (--encoding rows), or reduce the input",
    "output neurons": "use fewer classes, or Audio 3 or IMU",
    "largest fan-out": "use smaller layers (--network.hidden), or prune weights",
    "recurrent and output weights": "use smaller layers (--network.hidden), or prune weights",
}


def _fix(resource: str, graph: ChipGraph, profile: ChipProfile) -> str:
    """What would help. Convolutions are dense matrices here, which fill the chip at once."""
    is_input = resource in ("input channels", "output neurons")
    if is_input or all(p.kind == "dense" for layer in graph for p in layer.projections):
        return _FIXES.get(resource, "use smaller layers (--network.hidden)")
    size = widest_layer(profile)
    return (
        f"train dense layers (--network.name mlp --network.hidden '[{size}, {size}]'), or"
        " --target, in place of convolutions"
    )


_LEAKS = {
    "membrane": "train with --neuron.beta {:g} --neuron.learn_beta false, or --target",
    "synapse": "train with --neuron.alpha {:g} --neuron.learn_alpha false, or --target",
}


def widest_layer(profile: ChipProfile) -> int:
    """The largest n of two hidden layers of n that fit, in front of all outputs there are."""

    def limit(key: str) -> int:
        return int(profile.value(f"limit.{key}"))

    outputs, weights = limit("outputs"), limit("recurrent_weights")
    # n n weights between the two and n outputs to the read-out: n (n + outputs) <= weights.
    by_weights = (math.isqrt(outputs**2 + 4 * weights) - outputs) // 2
    by_reach = min(limit("input_reach"), limit("output_reach"), limit("fan_out"))
    return max(1, min(by_reach, by_weights, limit("hidden") // 2))


def representable(leak: Tensor, dash_bits: int) -> Tensor:
    """The nearest leaks per step that bit shifts have: 1 - 2^-dash, dash from 1 on."""
    return 1.0 - torch.exp2(-dash_of(leak, dash_bits).to(torch.float64))


def dash_of(leak: Tensor, dash_bits: int) -> Tensor:
    """Bit shifts whose leaks are the nearest; int64, 1 to 2^dash_bits - 1."""
    dashes = torch.arange(1, 1 << dash_bits, dtype=torch.float64)
    distance = (leak[..., None] - (1.0 - torch.exp2(-dashes))).abs()
    return distance.argmin(-1) + 1


def neuron_findings(layer: Layer, is_output: bool, profile: ChipProfile) -> list[Finding]:
    """What the neurons of the chip do not do, those of its outputs or the hidden ones."""
    dash_bits = int(profile.value("format.dash_bits"))
    source = profile.constant("format.dash_bits").source
    findings = []
    if layer.alpha is None or not bool((layer.alpha > 0).all()):
        findings.append(
            Finding(
                layer.name,
                "neurons without a synapse",
                "CubaLIF: the synapse decays before it acts, without one an input is lost",
                "train with --neuron.model synaptic, or --target",
                source,
            )
        )
    leaks = {"membrane": layer.beta} | ({} if layer.alpha is None else {"synapse": layer.alpha})
    for name, leak in leaks.items():
        wrong = (leak - representable(leak, dash_bits)).abs() > NEAR
        if bool(wrong.any()) and not (name == "synapse" and bool((leak == 0).any())):
            first = float(leak[wrong].flatten()[0])
            share = "" if bool(wrong.all()) else f" ({int(wrong.sum())} of {wrong.numel()})"
            nearest = float(representable(leak[wrong].flatten()[:1], dash_bits))
            findings.append(
                Finding(
                    layer.name,
                    f"leak of the {name} {first:g}{share}",
                    "1 - 2^-k: 0.5, 0.75, 0.875, 0.9375, ...",
                    _LEAKS[name].format(nearest),
                    source,
                )
            )
    findings += _firing_findings(layer, is_output, profile)
    return findings


def _firing_findings(layer: Layer, is_output: bool, profile: ChipProfile) -> list[Finding]:
    findings = []
    key = "neuron.output_spikes" if is_output else "neuron.hidden_spikes"
    most = int(profile.value(key))
    if layer.reset != "subtract":
        findings.append(
            Finding(
                layer.name,
                f"reset to {layer.reset}",
                "by subtraction",
                "train with --neuron.reset subtract, or --target",
                profile.constant(key).source,
            )
        )
    if layer.most_spikes != most:
        findings.append(
            Finding(
                layer.name,
                f"{layer.most_spikes} as the most spikes of a neuron in a step",
                f"{most}, as the chip fires",
                (
                    f"train with --neuron.output_spikes {most}, or --target"
                    if is_output
                    else f"train with --neuron.most_spikes {most}, or --target"
                ),
                profile.constant(key).source,
            )
        )
    if layer.lower is not None:
        findings.append(
            Finding(
                layer.name,
                f"a lowest membrane of {layer.lower:g}",
                "none but that of 16 bits",
                "train with --neuron.lower null",
                profile.constant("format.state_bits").source,
            )
        )
    return findings


def _structure_findings(graph: ChipGraph, profile: ChipProfile) -> list[Finding]:
    source, findings, output = profile.constant("limit.hidden").source, [], graph.output
    if len(graph.layers) < 2:
        findings.append(
            Finding(
                "network",
                "one layer of neurons",
                "two or more",
                "add a hidden layer (--network.hidden)",
                source,
            )
        )
    if output.name in output.sources:
        findings.append(
            Finding(
                output.name,
                "output neurons that feed each other",
                "recurrence among hidden neurons",
                "leave it out",
                source,
            )
        )
    if INPUT in output.sources and len(graph.layers) > 1:
        findings.append(
            Finding(
                output.name,
                "inputs that reach output neurons",
                "hidden neurons in between",
                "leave the skip out",
                source,
            )
        )
    return findings


def _usage(graph: ChipGraph, profile: ChipProfile) -> list[Usage]:
    *inner, output = graph.layers
    places = hidden_places(graph)
    hidden = sum(layer.size for layer in inner)
    reached = max((places[x.name].stop for x in inner if INPUT in x.sources), default=0)
    read = hidden - min((places[n].start for n in output.sources if n in places), default=hidden)
    fan_out, recurrent = 0, 0
    for layer in inner:
        targets = torch.zeros(layer.size, dtype=torch.int64)
        for reader in graph.readers(layer.name):
            for projection in reader.projections:
                if projection.source == layer.name:
                    targets += (dense_matrix(projection) != 0).sum(0)
        fan_out = max(fan_out, int(targets.max()))
        recurrent += int(targets.sum())
    amounts = {
        "input channels": int(torch.tensor(graph.input_shape).prod()),
        "hidden neurons": hidden,
        "output neurons": output.size,
        "largest fan-out": fan_out,
        "recurrent and output weights": recurrent,
        "hidden neurons that inputs reach": reached,
        "hidden neurons that outputs read": read,
    }
    return [
        Usage(name, used, float(profile.value(_KEYS[name])), profile.constant(_KEYS[name]).unit)
        for name, used in amounts.items()
    ]
