"""What one timestep may consist of, and why a network's forward is not one: by name and line."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import snntorch
import torch
import torch.nn.functional as F
from torch import fx, nn

from mpo_snn.scale import Scale
from mpo_snn.timestep_in_place import in_place_findings
from mpo_snn.timestep_state import (
    argument_findings,
    kept_findings,
    neuron_findings,
    output_findings,
)
from mpo_snn.traced_node import at, is_state_of, layer_of, neuron_of, raised_at

PER_SAMPLE_LAYERS: tuple[type[nn.Module], ...] = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.SyncBatchNorm,
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.MaxPool2d,
    nn.Dropout,
    nn.Dropout2d,
    nn.Flatten,
    nn.Identity,
    nn.ReLU,
    Scale,
)
"""Layers that treat every sample of the batch alone (batchnorm apart, which has its own rule)."""

ADDITIONS: tuple[Callable[..., Any], ...] = (operator.add, operator.iadd, torch.add)
PER_SAMPLE_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    *ADDITIONS,
    torch.flatten,
    operator.mul,
    operator.imul,
    torch.mul,
    F.avg_pool2d,
    F.relu,
    torch.relu,
)
PER_SAMPLE_METHODS = ("flatten", "add", "add_", "mul", "mul_", "relu")

_REWRITE = (
    "Write forward(x) for ONE timestep, without a loop: `x = self.lif1(self.fc1(x));"
    " return self.fc2(x)` with MPOLeaky(..., init_hidden=True), and let"
    " Unrolled(network, timesteps) run it over time."
)
_OPERATIONS = (
    "Supported: additions, products with a number, torch.flatten(x, 1), x.flatten(1),"
    " x.view(x.size(0), -1) of one and the same x, F.avg_pool2d, F.relu; for other reshapes write"
    " x.flatten(1)."
)


def supported() -> str:
    """The supported layers, for messages."""
    return ", ".join(
        sorted(["MPOLeaky", "MPOSynaptic", *(layer.__name__ for layer in PER_SAMPLE_LAYERS)])
    )


def explain(error: Exception) -> str:
    """Why tracing stopped, on one line, with the line of the network's code where it did."""
    where = raised_at(error)
    reason = str(error)
    if "cannot be iterated" in reason or "interpreted as an integer" in reason:
        return f"it loops over its input{where}. {_REWRITE}"
    if "control flow" in reason:
        return f"it decides by the values of a tensor{where}; a timestep treats every input alike."
    if "not installed as a submodule" in reason:
        return (
            f"it calls a layer that is no submodule of it{where}; keep layers in attributes,"
            " nn.Sequential or nn.ModuleList."
        )
    first = reason.splitlines()[0].rstrip(".") if reason else type(error).__name__
    return f"{first}{where}."


def findings_of(network: nn.Module, graph: fx.Graph, kept: Sequence[str] = ()) -> list[str]:
    """Everything in the graph that is not one timestep, one line each; empty if all is well.

    A loop over time breaks most other rules too, and so do neurons that are still snnTorch's: then
    only that and the layers are told.

    Args:
        network: that was traced.
        graph: of its forward.
        kept: attributes to which forward assigned values of the timestep.
    """
    layers, loop = _layer_findings(network, graph), _loop_findings(network, graph)
    if loop:
        return loop + layers
    foreign = _foreign_findings(network, graph)
    if foreign:
        return foreign + layers
    findings = kept_findings(kept) + layers + _operation_findings(network, graph)
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    for node in inputs[1:]:
        findings += argument_findings(network, node)
    for node in graph.nodes:
        findings += neuron_findings(network, node, kept)
        findings += in_place_findings(network, node)
        if node.op == "output":
            findings += output_findings(network, node)
    return findings


def _layer_findings(network: nn.Module, graph: fx.Graph) -> list[str]:
    layers = {str(n.target): layer_of(network, n) for n in graph.nodes if n.op == "call_module"}
    findings = [
        f"layer '{name}' ({type(layer).__name__}) is not supported. Supported: {supported()}."
        for name, layer in layers.items()
        if not isinstance(layer, (snntorch.SpikingNeuron, *PER_SAMPLE_LAYERS))
    ]
    findings += [
        f"layer '{node.target}'{at(node)} gets its input by keyword: write layer(x)."
        for node in graph.nodes
        if node.op == "call_module" and not node.args
    ]
    return findings


def _foreign_neurons(network: nn.Module, graph: fx.Graph) -> dict[str, str]:
    """Neurons that are not MPO's: name -> class."""
    return {
        str(node.target): type(layer_of(network, node)).__name__
        for node in graph.nodes
        if node.op == "call_module" and _is_spiking(network, node) and not neuron_of(network, node)
    }


def _is_spiking(network: nn.Module, node: fx.Node) -> bool:
    return isinstance(layer_of(network, node), snntorch.SpikingNeuron)


def _foreign_findings(network: nn.Module, graph: fx.Graph) -> list[str]:
    found = _foreign_neurons(network, graph)
    if not found:
        return []
    names = ", ".join(f"'{name}'" for name in found)
    kinds = " and ".join(sorted(set(found.values())))
    who, what = ("neuron", "is") if len(found) == 1 else ("neurons", "are")
    return [
        f"{who} {names} {what} snntorch's {kinds}: turn every one into an MPO neuron with"
        " mpo_snn.adapt(network) first."
    ]


def _loop_findings(network: nn.Module, graph: fx.Graph) -> list[str]:
    calls: dict[str, list[fx.Node]] = {}
    for node in graph.nodes:
        if node.op == "call_module" and _is_spiking(network, node):
            calls.setdefault(str(node.target), []).append(node)
    told = [
        f"'{name}' {len(nodes)} times{at(nodes[0])}"
        for name, nodes in calls.items()
        if len(nodes) > 1
    ]
    if not told:
        return []
    foreign = _foreign_neurons(network, graph)
    adapt = " First mpo_snn.adapt(network): its neurons are still snntorch's." if foreign else ""
    return [
        f"it calls {', '.join(told)}: a loop over time, or one neuron in several places."
        f" {_REWRITE}{adapt}"
    ]


def _operation_findings(network: nn.Module, graph: fx.Graph) -> list[str]:
    by_place: dict[str, dict[str, None]] = {}
    for node in graph.nodes:
        name = _refused_operation(network, node)
        if node.users and all(is_state_of(network, node, user) for user in node.users):
            continue  # told with the neuron
        if name is not None:
            by_place.setdefault(at(node), {})[name] = None
    return [
        f"{', '.join(names)}{where} is not supported in a timestep. {_OPERATIONS}"
        for where, names in by_place.items()
    ]


def _refused_operation(network: nn.Module, node: fx.Node) -> str | None:
    if node.op == "get_attr":
        return f"the tensor '{node.target}'"
    if node.op == "call_method":
        return None if node.target in PER_SAMPLE_METHODS else f".{node.target}()"
    if node.op != "call_function" or node.target in PER_SAMPLE_FUNCTIONS:
        return None
    if node.target is operator.getitem:
        return None if neuron_of(network, node.args[0]) else "indexing"
    if node.target is getattr:
        return f".{node.args[1]}"
    return f"{getattr(node.target, '__name__', node.target)}()"
