r"""Fan-out: how many synapses one spike of each neuron drives, exactly, borders included.

A synaptic node is linear, so the number of products that element :math:`j` of its input takes part
in is a gradient,

.. math::
    F_j = \frac{\partial}{\partial x_j} \sum_k \bigl(M \ast x\bigr)_k ,

where :math:`M` is 1 wherever the weight is counted. Padding, stride, dilation and groups need no
case of their own. Pooling, Scale, Flatten, Delay and sums between the neuron and the synapses are
linear too once their factors are 1, so the same gradient goes on through them to the neuron: a
spike that lies in two overlapping windows counts for both.

Two conventions for weights that are exactly zero: ``nonzero`` leaves them out (:math:`M` is
:math:`W \ne 0`), ``dense`` counts them (:math:`M` is 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import nir
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mpo_snn.errors import GraphError

from .roles import POOLING, SPIKING, SYNAPTIC, predecessors, signal_edges

if TYPE_CHECKING:
    from mpo_snn.graph.inline import FlatGraph

    from .roles import Roles

Convention = Literal["nonzero", "dense"]
Shape = tuple[int, ...]

_PASSIVE = (*POOLING, nir.Scale, nir.Flatten, nir.Delay, nir.Input, nir.Output)


def synaptic_fan_out(node: nir.NIRNode, shape: Shape, convention: Convention) -> Tensor:
    """Weights that each element of a synaptic node's input meets.

    Args:
        node: Affine, Linear, Conv1d or Conv2d.
        shape: shape of its input, without batch.
        convention: whether weights that are exactly zero count.

    Returns:
        float64 whole numbers, of shape `shape`. Their sum is the number of products in one dense
        evaluation of the node.
    """
    weight = np.asarray(node.weight)
    counted = weight != 0 if convention == "nonzero" else np.ones(weight.shape, dtype=bool)
    if isinstance(node, (nir.Affine, nir.Linear)):
        meets = torch.from_numpy(counted.sum(axis=-2, dtype=np.float64))
        return meets.expand(shape).clone()
    probe = torch.zeros(1, *shape, dtype=torch.float64, requires_grad=True)
    convolve = functional.conv1d if isinstance(node, nir.Conv1d) else functional.conv2d
    out = convolve(
        probe,
        torch.from_numpy(counted.astype(np.float64)),
        stride=_integers(node.stride),
        padding=_padding(node.padding),
        dilation=_integers(node.dilation),
        groups=int(node.groups),
    )
    (gradient,) = torch.autograd.grad(out.sum(), probe)
    return gradient[0].round()


def fan_out_of_sources(
    flat: FlatGraph,
    roles: Roles,
    shapes: Mapping[str, Shape],
    target: str,
    at_target: Tensor,
) -> dict[str, Tensor]:
    """Carry a fan-out at the input of `target` back to the neurons whose spikes arrive there.

    Args:
        flat: the graph.
        roles: its roles; the subtractive reset is no way for spikes.
        shapes: output shape of each node.
        target: a node whose input consists of spikes, pooled, scaled, summed or as they are.
        at_target: operations for each element of its input, shaped like that input.

    Returns:
        For each spiking node that reaches `target` through nodes without synapses: operations for
        each of its neurons' spikes, float64, of the node's output shape.

    Raises:
        GraphError: if spikes go round for ever in a loop without a neuron.
    """
    sources = predecessors(signal_edges(flat, roles.feedback))
    neurons: dict[str, Tensor] = {}
    values: dict[str, Tensor] = {}
    order = _passive_order(flat, sources, target)
    for name in order:
        node = flat.nodes[name]
        if isinstance(node, SPIKING):
            probe = torch.zeros(shapes[name], dtype=torch.float64, requires_grad=True)
            neurons[name] = values[name] = probe
        else:
            entering = _sum([values[source] for source in sources[name]])
            values[name] = _pass(node, entering, shapes[name])
    arriving = _sum([values[source] for source in sources[target]]).reshape(at_target.shape)
    gradients = torch.autograd.grad(arriving, list(neurons.values()), grad_outputs=at_target)
    return {name: gradient.round() for name, gradient in zip(neurons, gradients, strict=True)}


def _passive_order(flat: FlatGraph, sources: Mapping[str, list[str]], target: str) -> list[str]:
    """The neurons and passive nodes that lead to `target`, each after what it depends on."""
    order: list[str] = []
    finished: set[str] = set()
    open_nodes: list[str] = []
    stack = [(source, False) for source in reversed(sources[target])]
    while stack:
        name, leaving = stack.pop()
        if leaving:
            open_nodes.remove(name)
            finished.add(name)
            order.append(name)
            continue
        if name in finished:
            continue
        if name in open_nodes:
            loop = " -> ".join([*open_nodes[open_nodes.index(name) :], name][::-1])
            raise GraphError(
                f"cannot count the spikes that reach '{target}': they go round for ever in the "
                f"loop {loop}, which contains no neuron. Put a neuron into the loop or open it."
            )
        node = flat.nodes[name]
        open_nodes.append(name)
        stack.append((name, True))
        if isinstance(node, SPIKING):
            continue
        if not isinstance(node, _PASSIVE):
            raise AssertionError(f"'{name}' ({type(node).__name__}) does not pass spikes on")
        stack.extend((source, False) for source in reversed(sources[name]))
    return order


def _pass(node: nir.NIRNode, value: Tensor, shape: Shape) -> Tensor:
    """A passive node with all factors 1."""
    if isinstance(node, POOLING):
        return functional.avg_pool2d(
            value.unsqueeze(0),
            kernel_size=_integers(node.kernel_size),
            stride=_integers(node.stride),
            padding=_integers(node.padding),
            divisor_override=1,
        )[0]
    if isinstance(node, nir.Flatten):
        return value.reshape(shape)
    return value.expand(shape)


def _sum(values: list[Tensor]) -> Tensor:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def _integers(value: Any) -> tuple[int, ...]:
    return tuple(int(part) for part in np.atleast_1d(np.asarray(value)))


def _padding(value: Any) -> tuple[int, ...] | str:
    return value if isinstance(value, str) else _integers(value)


__all__ = ["SYNAPTIC", "Convention", "fan_out_of_sources", "synaptic_fan_out"]
