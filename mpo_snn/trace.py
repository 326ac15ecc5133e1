"""Reads a network that is written for one timestep as a graph of layers.

Training (`mpo_snn.unroll`) runs this graph over all timesteps and export turns it into NIR: one
description, no drift. Neurons and torch.nn layers are the leaves.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import snntorch
import torch
import torch.nn.functional as F
from torch import fx, nn

from mpo_snn.errors import UnrollError
from mpo_snn.neurons import MPOLeaky

PER_SAMPLE_LAYERS: tuple[type[nn.Module], ...] = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.MaxPool2d,
    nn.Dropout,
    nn.Dropout2d,
    nn.Flatten,
    nn.Identity,
    nn.ReLU,
)
"""Layers that treat every sample of the batch alone (batchnorm apart, which has its own rule)."""

ADDITIONS: tuple[Callable[..., Any], ...] = (operator.add, operator.iadd, torch.add)
FLATTENINGS: tuple[Callable[..., Any], ...] = (torch.flatten,)
PER_SAMPLE_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    *ADDITIONS,
    *FLATTENINGS,
    operator.mul,
    torch.mul,
    F.avg_pool2d,
    F.relu,
)
PER_SAMPLE_METHODS = ("flatten", "add", "add_", "mul")

_REWRITE = (
    "Write forward(x) for ONE timestep, without a loop: `x = self.lif1(self.fc1(x));"
    " return self.fc2(x)` with MPOLeaky(..., init_hidden=True), and let"
    " Unrolled(network, timesteps) run it over time."
)


class _Tracer(fx.Tracer):
    """Neurons and torch.nn layers are leaves; everything else is looked into."""

    record_stack_traces = True

    def is_leaf_module(self, module: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(module, snntorch.SpikingNeuron) or super().is_leaf_module(
            module, module_qualified_name
        )


def trace_timestep(network: nn.Module) -> fx.Graph:
    """The network's forward as a graph: one placeholder that matters, layers, one output.

    Raises:
        UnrollError: with every layer or operation that is not one timestep of per-sample layers
            and MPO neurons, by name and source line, and what to write instead.
    """
    try:
        graph = _Tracer().trace(network)
    except (fx.proxy.TraceError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnrollError(
            f"cannot read forward of {type(network).__name__} as one timestep: {reason}. {_REWRITE}"
        ) from error
    findings = _findings(network, graph)
    if findings:
        raise UnrollError(
            f"cannot read forward of {type(network).__name__} as one timestep", findings
        )
    graph.eliminate_dead_code(is_impure_node=lambda node: node.op in ("placeholder", "output"))
    return graph


def layer_of(network: nn.Module, node: fx.Node) -> nn.Module:
    """The module behind a `call_module` node."""
    return network.get_submodule(str(node.target))


def _findings(network: nn.Module, graph: fx.Graph) -> list[str]:
    findings: list[str] = []
    seen: dict[str, fx.Node] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            findings += _layer_findings(network, node, seen)
        elif node.op == "call_function" and node.target is operator.getitem:
            findings += _item_findings(network, node)
        elif node.op == "call_function" and node.target not in PER_SAMPLE_FUNCTIONS:
            findings.append(_operation(node, getattr(node.target, "__name__", str(node.target))))
        elif node.op == "call_method" and node.target not in PER_SAMPLE_METHODS:
            findings.append(_operation(node, f".{node.target}()"))
        elif node.op == "get_attr":
            findings.append(_operation(node, f"the tensor '{node.target}'"))
        elif node.op == "placeholder":
            findings += _placeholder_findings(network, graph, node)
    return findings


def _layer_findings(network: nn.Module, node: fx.Node, seen: dict[str, fx.Node]) -> list[str]:
    name, layer = str(node.target), layer_of(network, node)
    kind = type(layer).__name__
    if isinstance(layer, MPOLeaky):
        if name in seen:
            if seen[name] is not node and seen[name].meta.get("told"):
                return []
            seen[name].meta["told"] = True
            calls = sum(n.op == "call_module" and n.target == name for n in node.graph.nodes)
            return [
                f"neuron '{name}' is called {calls} times{_line(node)}: a loop over time, or one"
                f" neuron in several places. {_REWRITE}"
            ]
        seen[name] = node
        return []
    if isinstance(layer, snntorch.SpikingNeuron):
        return [
            f"neuron '{name}' is snntorch's {kind}: turn it into an MPO neuron with"
            " mpo_snn.adapt(network) first."
        ]
    if not isinstance(layer, PER_SAMPLE_LAYERS):
        return [f"layer '{name}' ({kind}) is not supported. Supported: {supported()}."]
    return []


def _item_findings(network: nn.Module, node: fx.Node) -> list[str]:
    source = node.args[0]
    is_neuron = (
        isinstance(source, fx.Node)
        and source.op == "call_module"
        and isinstance(layer_of(network, source), MPOLeaky)
    )
    if not is_neuron:
        return [_operation(node, "indexing")]
    if node.args[1] == 1 and any(user.op != "output" for user in node.users):
        return [
            f"the membrane of neuron '{source.target}' is used inside the timestep"  # type: ignore[union-attr]
            f"{_line(node)}: only spikes may be passed on; return the membrane or drop it."
        ]
    return []


def _placeholder_findings(network: nn.Module, graph: fx.Graph, node: fx.Node) -> list[str]:
    first = next(n for n in graph.nodes if n.op == "placeholder")
    if node is first:
        return []
    for user in node.users:
        is_state = (
            user.op == "call_module"
            and isinstance(layer_of(network, user), MPOLeaky)
            and (node in user.args[1:] or node in user.kwargs.values())
        )
        if not is_state:
            return [
                f"argument '{node.target}' of forward is neither the input (the first argument)"
                " nor the state of a neuron: pass one input per timestep."
            ]
    return []


def _operation(node: fx.Node, what: str) -> str:
    return (
        f"{what}{_line(node)} is not an operation on single samples. Supported: additions,"
        " products with a number, torch.flatten(x, 1), x.flatten(1), F.avg_pool2d, F.relu; for"
        " x.view(x.size(0), -1) write x.flatten(1)."
    )


def _line(node: fx.Node) -> str:
    trace = [line.strip() for line in (node.stack_trace or "").splitlines() if line.strip()]
    places = [line for line in trace if line.startswith("File ")]
    if not places:
        return ""
    file, line = places[-1].split(",")[:2]
    return f" ({file.removeprefix('File ').strip().strip(chr(34))}:{line.strip().split()[-1]})"


def supported() -> str:
    """The supported layers, for messages."""
    return ", ".join(sorted(["MPOLeaky", *(layer.__name__ for layer in PER_SAMPLE_LAYERS)]))
