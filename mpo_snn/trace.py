"""Reads a network that is written for one timestep as a graph of layers.

Training (`mpo_snn.unroll`) runs this graph over all timesteps and export turns it into NIR: one
description, no drift. Neurons and torch.nn layers are the leaves.
"""

from __future__ import annotations

import operator
from typing import Any

import snntorch
import torch
import torch.nn.functional as F
from torch import fx, nn

from mpo_snn.errors import UnrollError
from mpo_snn.flattening import write_reshapes_as_flatten
from mpo_snn.scale import Scale
from mpo_snn.timestep import ADDITIONS as ADDITIONS
from mpo_snn.timestep import explain, findings_of
from mpo_snn.traced_node import stack_within
from mpo_snn.untouched import untouched

_OUT_OF_PLACE: dict[Any, Any] = {
    operator.iadd: operator.add,
    operator.imul: operator.mul,
    "add_": "add",
    "mul_": "mul",
}


class _Proxy(fx.Proxy):
    """Tells `x += y` from `x = x + y`, which fx does not."""

    def __iadd__(self, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})

    def __imul__(self, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.imul, (self, other), {})


class _Tracer(fx.Tracer):
    """Neurons and torch.nn layers are leaves; everything else is looked into."""

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        # fx's own stack traces import a compiler in C++ code, in which an interruption gets lost.
        node = super().create_node(*args, **kwargs)
        node.stack_trace = stack_within(trace_timestep)
        return node

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def is_leaf_module(self, module: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(module, snntorch.SpikingNeuron | Scale) or super().is_leaf_module(
            module, module_qualified_name
        )


def trace_timestep(network: nn.Module) -> fx.Graph:
    """The network's forward as a graph: one placeholder that matters, layers, one output.

    Operations in place become ordinary ones, which is the same where they are allowed at all, and
    `x.view(x.size(0), -1)` becomes `torch.flatten(x, 1)`. The network stays as it was.

    Raises:
        UnrollError: with every layer or operation that is not one timestep of per-sample layers
            and MPO neurons, by name and source line, and what to write instead.
    """
    what = f"cannot read forward of {type(network).__name__} as one timestep"
    tracer = _Tracer()
    if tracer.is_leaf_module(network, ""):
        raise UnrollError(f"{what}: it is a single layer; wrap it, e.g. in nn.Sequential.")
    try:
        with untouched(network) as assigned:
            graph = tracer.trace(network)
    except Exception as error:  # whatever the network's own forward raises
        raise UnrollError(f"{what}: {explain(error)}") from error
    write_reshapes_as_flatten(graph)
    kept = [name for name, value in assigned.values.items() if _holds_a_proxy(value)]
    findings = findings_of(network, graph, kept)
    if findings:
        raise UnrollError(what, findings)
    _write_out_of_place(graph)
    graph.eliminate_dead_code(is_impure_node=lambda node: node.op in ("placeholder", "output"))
    return graph


def _holds_a_proxy(value: Any) -> bool:
    parts = value if isinstance(value, tuple | list) else (value,)
    return any(isinstance(part, fx.Proxy) for part in parts)


def _write_out_of_place(graph: fx.Graph) -> None:
    for node in graph.nodes:
        if node.target in _OUT_OF_PLACE:
            node.target = _OUT_OF_PLACE[node.target]
        elif node.target in (F.relu, torch.relu, "relu"):
            node.op, node.target = "call_function", F.relu
            node.args, node.kwargs = (node.all_input_nodes[0],), {}
