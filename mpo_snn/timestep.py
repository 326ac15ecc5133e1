"""What one timestep may consist of, and why a network's forward is not one: by name and line."""

from __future__ import annotations

import operator
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import snntorch
import torch
import torch.nn.functional as F
from torch import fx, nn

from mpo_snn.neurons import MPONeuron
from mpo_snn.scale import Scale

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
)
PER_SAMPLE_METHODS = ("flatten", "add", "add_", "mul", "mul_")

_REWRITE = (
    "Write forward(x) for ONE timestep, without a loop: `x = self.lif1(self.fc1(x));"
    " return self.fc2(x)` with MPOLeaky(..., init_hidden=True), and let"
    " Unrolled(network, timesteps) run it over time."
)
_OPERATIONS = (
    "Supported: additions, products with a number, torch.flatten(x, 1), x.flatten(1),"
    " F.avg_pool2d, F.relu; for x.view(x.size(0), -1) write x.flatten(1)."
)
_ALIASES = (nn.Identity, nn.Flatten, nn.Dropout, nn.Dropout2d)
_FRAME = re.compile(r'File "(?P<file>.+)", line (?P<line>\d+), in ')
_LIBRARIES = tuple(module.__path__[0] for module in (torch, snntorch))
_HERE = str(Path(__file__).parent)


def supported() -> str:
    """The supported layers, for messages."""
    return ", ".join(
        sorted(["MPOLeaky", "MPOSynaptic", *(layer.__name__ for layer in PER_SAMPLE_LAYERS)])
    )


def layer_of(network: nn.Module, node: fx.Node) -> nn.Module:
    """The module behind a `call_module` node."""
    return network.get_submodule(str(node.target))


def neuron_of(network: nn.Module, node: Any) -> MPONeuron | None:
    """The MPO neuron behind a node, if it is one."""
    if not isinstance(node, fx.Node) or node.op != "call_module":
        return None
    layer = layer_of(network, node)
    return layer if isinstance(layer, MPONeuron) else None


def explain(error: Exception) -> str:
    """Why tracing stopped, on one line, with the line of the network's code where it did."""
    frames = traceback.extract_tb(error.__traceback__)
    where = _last_place([(frame.filename, str(frame.lineno)) for frame in frames])
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


def findings_of(network: nn.Module, graph: fx.Graph) -> list[str]:
    """Everything in the graph that is not one timestep, one line each; empty if all is well.

    A loop over time breaks most other rules too, so then only the loop and the layers are told.
    """
    layers, loop = _layer_findings(network, graph), _loop_findings(network, graph)
    if loop:
        return loop + layers
    findings = layers + _operation_findings(network, graph)
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    for node in inputs[1:]:
        findings += _argument_findings(network, node)
    for node in graph.nodes:
        findings += _neuron_findings(network, node)
        findings += _mutation_findings(network, node)
    return findings


def _layer_findings(network: nn.Module, graph: fx.Graph) -> list[str]:
    layers = {str(n.target): layer_of(network, n) for n in graph.nodes if n.op == "call_module"}
    findings = []
    for name, layer in layers.items():
        kind = type(layer).__name__
        if isinstance(layer, snntorch.SpikingNeuron) and not isinstance(layer, MPONeuron):
            findings.append(
                f"neuron '{name}' is snntorch's {kind}: turn it into an MPO neuron with"
                " mpo_snn.adapt(network) first."
            )
        elif not isinstance(layer, (MPONeuron, *PER_SAMPLE_LAYERS)):
            findings.append(f"layer '{name}' ({kind}) is not supported. Supported: {supported()}.")
    findings += [
        f"layer '{node.target}'{_at(node)} gets its input by keyword: write layer(x)."
        for node in graph.nodes
        if node.op == "call_module" and not node.args
    ]
    return findings


def _loop_findings(network: nn.Module, graph: fx.Graph) -> list[str]:
    calls: dict[str, list[fx.Node]] = {}
    for node in graph.nodes:
        if neuron_of(network, node):
            calls.setdefault(str(node.target), []).append(node)
    told = [
        f"'{name}' {len(nodes)} times{_at(nodes[0])}"
        for name, nodes in calls.items()
        if len(nodes) > 1
    ]
    if not told:
        return []
    return [
        f"it calls {', '.join(told)}: a loop over time, or one neuron in several places. {_REWRITE}"
    ]


def _operation_findings(network: nn.Module, graph: fx.Graph) -> list[str]:
    by_place: dict[str, dict[str, None]] = {}
    for node in graph.nodes:
        name = _refused_operation(node)
        if name is not None:
            by_place.setdefault(_at(node), {})[name] = None
    return [
        f"{', '.join(names)}{where} is not supported in a timestep. {_OPERATIONS}"
        for where, names in by_place.items()
    ]


def _refused_operation(node: fx.Node) -> str | None:
    if node.op == "get_attr":
        return f"the tensor '{node.target}'"
    if node.op == "call_method":
        return None if node.target in PER_SAMPLE_METHODS else f".{node.target}()"
    if node.op != "call_function" or node.target in PER_SAMPLE_FUNCTIONS:
        return None
    if node.target is operator.getitem:
        source = node.args[0]
        is_layer = isinstance(source, fx.Node) and source.op == "call_module"
        return None if is_layer else "indexing"
    if node.target is getattr:
        return f".{node.args[1]}"
    return f"{getattr(node.target, '__name__', node.target)}()"


def _argument_findings(network: nn.Module, node: fx.Node) -> list[str]:
    if all(neuron_of(network, user) and node is not user.args[0] for user in node.users):
        return []
    return [
        f"argument '{node.target}' of forward is neither the input (the first argument) nor the"
        " state of a neuron: pass one input per timestep."
    ]


def _neuron_findings(network: nn.Module, node: fx.Node) -> list[str]:
    neuron = neuron_of(network, node)
    if neuron is None:
        return []
    returns_states = neuron.output or not neuron.init_hidden
    unpacked = f"`spk, {', '.join(neuron.states)} = ...`"
    findings = []
    states = [n for n in node.all_input_nodes[1:] if n.op != "placeholder"]
    if any(not neuron_of(network, state.all_input_nodes[0]) for state in states):
        findings.append(
            f"the state of neuron '{node.target}'{_at(node)} is computed in the timestep: pass an"
            " argument of forward, or build it with init_hidden=True."
        )
    for user in node.users:
        place = f"neuron '{node.target}'{_at(user)}"
        is_item = user.target is operator.getitem
        if is_item and not returns_states:
            findings.append(
                f"{place} is indexed or unpacked, but keeps its own state (init_hidden=True) and"
                " returns spikes alone."
            )
        elif is_item and user.args[1] not in range(1 + len(neuron.states)):
            findings.append(f"{place} returns {1 + len(neuron.states)} values: write {unpacked}.")
        elif is_item and user.args[1] != 0 and any(u.op != "output" for u in user.users):
            findings.append(
                f"the state of {place} is used inside the timestep: only spikes may be passed"
                " on; return the state or drop it."
            )
        elif returns_states and not is_item and user.op != "output":
            findings.append(
                f"{place} returns spikes and its state: write {unpacked}, or build it with"
                " init_hidden=True."
            )
    return findings


def _mutation_findings(network: nn.Module, node: fx.Node) -> list[str]:
    """An operation in place is harmless only where nobody reads what it changed afterwards."""
    if not _is_in_place(network, node):
        return []
    changed = node.all_input_nodes[0]
    while _is_alias(network, changed):
        changed = changed.all_input_nodes[0]
    if changed.op != "placeholder" and not _is_read_later(network, changed, node):
        return []
    return [
        f"an operation in place{_at(node)} changes '{changed.name}', which is read elsewhere too:"
        " write it out of place, e.g. x = x + y."
    ]


def _is_in_place(network: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        return bool(getattr(layer_of(network, node), "inplace", False))
    if node.target is F.relu:
        return bool(node.kwargs.get("inplace", len(node.args) > 1 and node.args[1]))
    return node.target in (operator.iadd, operator.imul, "add_", "mul_")


def _is_read_later(network: nn.Module, value: fx.Node, than: fx.Node) -> bool:
    readers = [user for user in value.users if user is not than]
    return any(
        user > than or (_is_alias(network, user) and _is_read_later(network, user, than))
        for user in readers
    )


def _is_alias(network: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(layer_of(network, node), _ALIASES)
    return node.target in (torch.flatten, operator.getitem, "flatten")


def _at(node: fx.Node) -> str:
    """` (file:line)` of the network's code that made the node, if it is known."""
    return _last_place(_FRAME.findall(node.stack_trace or ""))


def _last_place(frames: list[tuple[str, str]]) -> str:
    own = [
        (file, line)
        for file, line in frames
        if not file.startswith(_LIBRARIES) and Path(file).parent != Path(_HERE)
    ]
    return f" ({own[-1][0]}:{own[-1][1]})" if own else ""
