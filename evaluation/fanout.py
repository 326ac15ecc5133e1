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
:math:`W \ne 0`), ``dense`` counts every connection (:math:`M` is 1 where
`mpo_snn.graph.connections` finds one).
"""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mpo_snn.errors import GraphError
from mpo_snn.graph.connections import connections
from mpo_snn.graph.edges import predecessors
from mpo_snn.graph.geometry import Window, convolution_window, pooling_window
from mpo_snn.graph.kinds import is_spiking, kind_of

from .roles import POOLING, signal_edges

if TYPE_CHECKING:
    from mpo_snn.graph.inline import FlatGraph

    from .roles import Roles

Convention = Literal["nonzero", "dense"]
Shape = tuple[int, ...]


def synaptic_fan_out(node: Any, shape: Shape, convention: Convention) -> Tensor:
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
    counted = weight != 0 if convention == "nonzero" else connections(node)
    if kind_of(node) in ("Affine", "Linear"):
        meets = torch.from_numpy(counted.sum(axis=-2, dtype=np.float64))
        return meets.expand(shape).clone()
    window = convolution_window(node)
    mask = torch.from_numpy(counted.astype(np.float64))
    probe = torch.zeros(1, *shape, dtype=torch.float64, requires_grad=True)
    convolve = functional.conv1d if kind_of(node) == "Conv1d" else functional.conv2d
    products = convolve(
        _pad(probe, window), mask, None, window.stride, 0, window.dilation, window.groups
    )
    (gradient,) = torch.autograd.grad(products.sum(), probe)
    return gradient[0]


def window_fan_out(node: Any, shape: Shape) -> Tensor:
    """Windows of a pooling node that each element of its input, of shape `shape`, lies in."""
    probe = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(_sum_pool(node, probe).sum(), probe)
    return gradient


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
        roles: its roles; neither a subtractive reset nor an analog node is a way for spikes.
        shapes: output shape of each node.
        target: a node that spikes reach: as they are, pooled, scaled or summed.
        at_target: operations for each element of its input, of the shape of that input.

    Returns:
        For each spiking node that reaches `target` through passive nodes only: operations for a
        spike of each of its neurons, float64, of the node's output shape.

    Raises:
        GraphError: if spikes go round for ever in a loop without a neuron.
    """
    edges = predecessors(signal_edges(flat, roles.feedback))
    sources = {
        name: [source for source in edges[name] if roles.output.get(source) != "analog"]
        for name in flat.nodes
    }
    probes: dict[str, Tensor] = {}
    values: dict[str, Tensor] = {}
    for name in _upstream(flat, sources, target):
        if is_spiking(flat.nodes[name]):
            probe = torch.zeros(shapes[name], dtype=torch.float64, requires_grad=True)
            probes[name] = values[name] = probe
        else:
            entering = torch.stack([values[source] for source in sources[name]]).sum(0)
            values[name] = _pass(flat.nodes[name], entering, shapes[name])
    if not probes:
        return {}
    arriving = torch.stack([values[source] for source in sources[target]]).sum(0)
    gradients = torch.autograd.grad(
        arriving.reshape(at_target.shape), list(probes.values()), grad_outputs=at_target
    )
    return dict(zip(probes, gradients, strict=True))


def _upstream(flat: FlatGraph, sources: Mapping[str, list[str]], target: str) -> list[str]:
    """The neurons and passive nodes that spikes come from to `target`, sources first."""
    needs: dict[str, list[str]] = {}
    waiting = list(sources[target])
    while waiting:
        name = waiting.pop()
        if name not in needs:
            needs[name] = [] if is_spiking(flat.nodes[name]) else sources[name]
            waiting += needs[name]
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        loop = " -> ".join(error.args[1])
        raise GraphError(
            f"cannot count the spikes that reach '{target}': they go round for ever in the loop "
            f"{loop}, which contains no neuron. Put a neuron into the loop or open it."
        ) from error


def _pass(node: Any, value: Tensor, shape: Shape) -> Tensor:
    """A passive node with all factors 1."""
    if kind_of(node) in POOLING:
        return _sum_pool(node, value)
    if kind_of(node) == "Flatten":
        return value.reshape(shape)
    return value


def _sum_pool(node: Any, value: Tensor) -> Tensor:
    window = pooling_window(node)
    padded = _pad(value.unsqueeze(0), window)
    return functional.avg_pool2d(padded, window.kernel, window.stride, divisor_override=1)[0]


def _pad(value: Tensor, window: Window) -> Tensor:
    """Zeros around the spatial axes; "same" puts an odd one behind."""
    around: list[int] = []
    for axis, (size, dilation) in enumerate(zip(window.kernel, window.dilation, strict=True)):
        if isinstance(window.padding, str):
            total = dilation * (size - 1)
            before, after = total // 2, total - total // 2
        else:
            before = after = window.padding[axis]
        around = [before, after, *around]
    return functional.pad(value, around)
