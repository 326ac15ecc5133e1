"""Scaling and biasing what arrives at a node, in the weights in front of it where that is exact.

A layer y = W x + b takes a factor per output as W' = diag(f) W, b' = f b, and one per input as
W' = W diag(f). A convolution takes one value per channel. Where no layer can take it, a diagonal
one is put in: a dense layer on one axis, a 1x1 convolution on channels.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from mpo_snn.graph.connections import written_out, written_out_of
from mpo_snn.graph.kinds import kind_of

from .flow import Flow, Shape, with_fields

Array = NDArray[np.float64]
DENSE = ("Affine", "Linear")
WEIGHTED = (*DENSE, "Conv1d", "Conv2d")


def per_channel(values: Any, shape: Shape) -> Array | None:
    """One value per index of the first axis, or None if values differ within one."""
    full = np.broadcast_to(np.asarray(values, dtype=np.float64), shape)
    rows = full.reshape(shape[0], -1)
    return rows[:, 0].copy() if bool((rows == rows[:, :1]).all()) else None


def scale_rows(node: nir.NIRNode, factors: Array, shape: Shape) -> nir.NIRNode | None:
    """The layer with its outputs, of this shape, multiplied; None if it cannot take the factors."""
    values = per_channel(factors, shape) if _is_layer(node) else None
    if values is None:
        return None
    weight = node.weight * values.reshape(-1, *[1] * (node.weight.ndim - 1))
    if kind_of(node) == "Linear":
        return with_fields(node, weight=weight)
    return with_fields(node, weight=weight, bias=node.bias * values)


def scale_columns(node: nir.NIRNode, factors: Array, shape: Shape) -> nir.NIRNode | None:
    """The layer for inputs, of this shape, that would have been multiplied; None if it cannot."""
    values = per_channel(factors, shape) if _is_layer(node) else None
    if values is None or node.weight.shape[1] != values.size:
        return None
    return with_fields(
        node, weight=node.weight * values.reshape(1, -1, *[1] * (node.weight.ndim - 2))
    )


def with_bias(node: nir.NIRNode, bias: Array, shape: Shape) -> nir.NIRNode | None:
    """The layer with a bias added to its output, of this shape; None if it cannot take it."""
    values = per_channel(bias, shape) if _is_layer(node) else None
    if values is None:
        return None
    if kind_of(node) == "Linear":
        return nir.Affine(weight=node.weight, bias=values, metadata=written_out_of(node))
    return with_fields(node, bias=node.bias + values)


def without_bias(node: nir.NIRNode) -> nir.NIRNode:
    """The layer without its bias."""
    if kind_of(node) == "Affine":
        return nir.Linear(weight=node.weight, metadata=written_out_of(node))
    return with_fields(node, bias=np.zeros_like(node.bias)) if hasattr(node, "bias") else node


def diagonal(shape: Shape, factors: Any = 1.0, bias: Any = None) -> nir.NIRNode | None:
    """A layer y = f x + b on values of this shape; None if channels are not treated alike."""
    values = per_channel(factors, shape)
    added = None if bias is None else per_channel(bias, shape)
    if values is None or (bias is not None and added is None) or len(shape) not in (1, 3):
        return None
    if len(shape) == 1:
        weight, told = np.diag(values), written_out(values.size, ())
        if added is None:
            return nir.Linear(weight, metadata=told)
        return nir.Affine(weight, added, metadata=told)
    return nir.Conv2d(
        input_shape=shape[1:],
        weight=np.diag(values)[:, :, None, None],
        stride=(1, 1),
        padding=(0, 0),
        dilation=(1, 1),
        groups=1,
        bias=np.zeros(shape[0]) if added is None else added,
        metadata=written_out(shape[0], (1, 1)),
    )


def scale_input(flow: Flow, name: str, factors: Array) -> Flow | None:
    """The flow with all that arrives at a node multiplied; None if some of it cannot be."""
    for source in flow.sources(name):
        shape = flow.shapes[source]
        alone = flow.targets(source) == [name]
        scaled = scale_rows(flow.nodes[source], factors, shape) if alone else None
        if scaled is not None:
            flow = flow.with_node(source, scaled)
            continue
        layer = diagonal(shape, factors)
        if layer is None:
            return None
        flow = flow.inserted((source, name), f"{source}.{name}.scale", layer)
    return flow


def bias_input(flow: Flow, name: str, bias: Array, behind: Collection[str] = ()) -> Flow | None:
    """The flow with a bias added to what arrives at a node; None if it cannot be.

    Args:
        flow: the graph.
        name: the node.
        bias: of its shape.
        behind: sources that shall not carry it.
    """
    sources = [s for s in flow.sources(name) if s not in behind]
    for source in sources:
        if flow.targets(source) == [name]:
            biased = with_bias(flow.nodes[source], bias, flow.shapes[source])
            if biased is not None:
                return flow.with_node(source, biased)
    layer = diagonal(flow.shapes[sources[0]], 1.0, bias) if sources else None
    if layer is None:
        return None
    return flow.inserted((sources[0], name), f"{sources[0]}.{name}.bias", layer)


def _is_layer(node: nir.NIRNode) -> bool:
    kind = kind_of(node)
    if kind in DENSE:
        return bool(node.weight.ndim == 2)
    return kind in WEIGHTED and int(np.prod(node.groups)) == 1
