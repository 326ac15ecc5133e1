"""The advice of a check, for a network that no recipe built.

Checks advise in options of `mpo-train`. Whoever wrote the network himself has none; what he changes
are arguments of neurons and layers. This table is the only place that knows both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import nir

from mpo_snn.graph.inline import inline
from mpo_snn.graph.kinds import kind_of

from .finding import CheckResult, Finding

_OPTION = re.compile(r"--([a-z][\w.]*)(?: ('[^']*'|\[[^\]]*\]|[\w.]*\w))?")
_TARGET = re.compile(r",? or(?: train with)? --target,?")
_VALUES: Final = {"null": "None", "true": "True", "false": "False"}
NEURON_ARGUMENTS: Final = (
    "reset",
    "reset_timing",
    "beta",
    "alpha",
    "input_gain",
    "learn_beta",
    "learn_alpha",
    "most_spikes",
    "lower",
)
"""Settings `neuron.NAME` that are arguments of a neuron under the same name."""
WORDS: Final[Mapping[str, Callable[[str], str]]] = {
    "neuron.model": lambda model: (
        "MPOSynaptic in place of MPOLeaky"
        if model == "synaptic"
        else "MPOLeaky in place of MPOSynaptic"
    ),
    "neuron.granularity": lambda _: "MPOLeaky with one beta and one threshold for the layer",
    "neuron.output_spikes": lambda number: f"MPOLeaky(most_spikes={number}) as the last layer",
    "network.bias": lambda _: "nn.Linear(..., bias=False) and nn.Conv2d(..., bias=False)",
    "network.normalise": lambda _: "no batchnorm",
    "network.channel_scale": lambda _: "nn.Linear and nn.Conv2d with fewer outputs",
    "network.hidden": lambda _: "nn.Linear with fewer outputs between the neurons",
    "network.name": lambda _: "nn.Flatten and nn.Linear in place of nn.Conv2d",
    "encoding": lambda kind: f'input from mpo_snn.encoding.encode(x, timesteps, "{kind}")',
    "readout": lambda _: "an MPOLeaky behind the last nn.Linear, whose spikes are counted",
}
"""What the other settings are there, from their value; by key of a recipe."""


def advice_for_own(advice: str, is_synaptic: bool = False) -> str:
    """The advice with what to do in a network of one's own; unchanged where it names no setting.

    Args:
        advice: e.g. `train with --neuron.reset zero, or --target`.
        is_synaptic: whether the neurons that it is about are to have a synapse.

    Returns:
        e.g. `train with --neuron.reset zero (in a network of your own: MPOLeaky(reset="zero"))`.
    """
    advice = _TARGET.sub("", advice)
    arguments: dict[str, str] = {}
    words: list[str] = []
    for name, value in _OPTION.findall(advice):
        setting = name.removeprefix("neuron.")
        if setting in NEURON_ARGUMENTS:
            arguments[setting] = _python(value)
        elif name in WORDS:
            words.append(WORDS[name](value))
    if arguments:
        neuron = "MPOSynaptic" if {"alpha", "learn_alpha"} & arguments.keys() else "MPOLeaky"
        listed = ", ".join(f"{name}={value}" for name, value in arguments.items())
        words.insert(0, f"{neuron}({listed})")
    own = "; ".join(words)
    if is_synaptic and " in place of " not in own:
        own = own.replace("MPOLeaky", "MPOSynaptic")
    return f"{advice} (in a network of your own: {own})" if words else advice


def result_for_own(
    result: CheckResult, graph: nir.NIRGraph | None = None, has_synapse: bool | None = None
) -> CheckResult:
    """A check's findings and warnings, each with `advice_for_own`.

    Args:
        result: of the check.
        graph: that was checked; its CubaLIF are the layers with a synapse.
        has_synapse: whether the neurons of the chip have one; None: those of a layer stay.
    """
    nodes = {} if graph is None else inline(graph).nodes
    synaptic = {name for name, node in nodes.items() if kind_of(node) == "CubaLIF"}

    def own(one: Finding) -> Finding:
        is_synaptic = one.where in synaptic if has_synapse is None else has_synapse
        return replace(one, fix=advice_for_own(one.fix, is_synaptic))

    def told(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        return tuple(map(own, findings))

    return replace(result, findings=told(result.findings), warnings=told(result.warnings))


def _python(value: str) -> str:
    """The value of a setting as Python has it; dots where the advice names none."""
    if not value or not re.fullmatch(r"[\d.]+(?:e-?\d+)?|[a-z]+", value):
        return "..."
    return _VALUES.get(value, value if value[0].isdigit() else f'"{value}"')
