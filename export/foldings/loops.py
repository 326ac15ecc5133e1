r"""Loops as readers run them: the last node of a loop gives its whole value one step late.

In NIR as it is read here (`mpo_snn.graph.loops`) the delay sits at the loop's last neuron, so that
a bias behind it acts from step 0 on; readers that keep the fed-back value miss it there. With
W s_(t-1) + b fed back, b moves to the feedforward side, where it acts in every step, and W stays.

snnTorch rewrites a loop of two nodes, neuron and dense layer, into a form that does not run:
a neutral layer, the identity, makes it three.
"""

from __future__ import annotations

import numpy as np
import torch

from mpo_snn.graph.kinds import STATEFUL
from mpo_snn.graph.ops import operation

from .flow import Edge, Flow
from .weights import DENSE, Array, bias_input, diagonal, without_bias

_LINEAR = (*DENSE, "Conv1d", "Conv2d", "Scale", "AvgPool2d", "SumPool2d", "Flatten")


def move_loop_bias(flow: Flow) -> Flow:
    """The flow with no bias between a loop's last neuron and where it comes round."""
    for edge in sorted(flow.back_edges):
        tail = loop_tail(flow, edge)
        bias = None if tail is None else fed_back(flow, tail)
        if tail is None or bias is None or not bias.any():
            continue
        late = [a for a, b in flow.back_edges if b == edge[1]]
        moved = bias_input(flow, edge[1], bias, behind=late)
        if moved is not None:
            for name in tail:
                moved = moved.with_node(name, without_bias(moved.nodes[name]))
            flow = moved.noting(f"bias of the loop into '{edge[1]}' to the feedforward side")
    return flow


def add_neutral_nodes(flow: Flow) -> Flow:
    """The flow without loops of one neuron layer and one dense layer."""
    for source, target in sorted(flow.back_edges):
        pair = {flow.kind(source), flow.kind(target)}
        if (target, source) not in flow.edges or not pair & {"LIF", "CubaLIF"}:
            continue
        layer = diagonal(flow.shapes[source])
        if pair & set(DENSE) and layer is not None:
            flow = flow.inserted((source, target), f"{source}.neutral", layer).noting(
                f"a neutral layer into the loop of '{target}'"
            )
    return flow


def loop_tail(flow: Flow, edge: Edge) -> list[str] | None:
    """Stateless nodes between a loop's last neuron and its back edge, in order.

    None if they are not linear, are fed from elsewhere too, or feed something else.
    """
    tail: list[str] = []
    name, target = edge
    while flow.kind(name) not in STATEFUL:
        if (
            flow.kind(name) not in _LINEAR
            or len(flow.sources(name)) != 1
            or flow.targets(name) != [target]
        ):
            return None
        tail.insert(0, name)
        name, target = flow.sources(name)[0], name
    return tail


def fed_back(flow: Flow, tail: list[str]) -> Array | None:
    """What a silent neuron feeds back."""
    if not tail:
        return None
    value = torch.zeros(1, *flow.input_shape(tail[0]), dtype=torch.float64)
    for name in tail:
        node = flow.nodes[name]
        value = operation(node, tuple(value.shape[1:]), torch.float64, torch.device("cpu"))(value)
    return np.asarray(value[0])
