r"""No Flatten: dense layers behind it as convolutions, neurons of shape (N, 1, 1).

A dense layer on a flattened (C, H, W) is the convolution with the kernel
W.reshape(N, C, H, W), which fits in one place only; every later dense layer is one of 1x1.
Most readers flatten the batch axis together with the features, so that a file with a Flatten
fails in batches. A kernel that is not square is set in the middle of a square of zeros, with as
much padding, where both sides are odd or both even.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import nir
import numpy as np

from mpo_snn.graph.connections import written_out, written_out_of
from mpo_snn.graph.kinds import ELEMENTWISE_ARRAYS

from .flow import Flow, Shape, with_fields
from .weights import DENSE, Array


def write_dense_as_convolution(flow: Flow) -> Flow:
    """The flow without Flatten; the same flow if one of them cannot go."""
    flattens = flow.named("Flatten")
    if not flattens or any(obstacle(flow, name) for name in flattens):
        return flow
    flat = {name for name, shape in flow.shapes.items() if len(shape) == 1} - set(flattens)
    if any(flow.kind(name) not in (*DENSE, *ELEMENTWISE_ARRAYS, "Output") for name in flat):
        return flow
    nodes: dict[str, nir.NIRNode] = {}
    for name, node in flow.nodes.items():
        if name not in flat:
            nodes[name] = node
        elif flow.kind(name) in DENSE:
            (source, *_) = flow.sources(name)
            shape = flow.input_shape(source) if source in flattens else (*flow.shapes[source], 1, 1)
            nodes[name] = _convolution(node, shape)
        elif flow.kind(name) in ELEMENTWISE_ARRAYS:
            nodes[name] = _column(node, ELEMENTWISE_ARRAYS[flow.kind(name)])
        else:
            nodes[name] = nir.Output(np.array((*flow.shapes[name], 1, 1)))
    changed = replace(flow, nodes=nodes)
    for name in flattens:
        changed = changed.without(name)
    return changed.noting("dense layers behind a Flatten into convolutions")


def obstacle(flow: Flow, name: str) -> str:
    """What must be otherwise for a Flatten to go, "" if it can.

    Dense layers alone read it, and it flattens (C, H, W) that fits the middle of a square kernel.
    """
    shape = flow.input_shape(name)
    if len(shape) != 3 or len(flow.shapes[name]) != 1:
        return "it must flatten all of (channels, height, width) to one axis"
    if not all(
        flow.kind(target) in DENSE and flow.sources(target) == [name]
        for target in flow.targets(name)
    ):
        return "dense layers must follow it directly, so that they can be written as convolutions"
    if (shape[1] - shape[2]) % 2:
        return (
            f"its map is {shape[1]}x{shape[2]}, which fits the middle of no square kernel: with"
            " both sides odd or both even, by another pool, stride or padding in front, the dense"
            " layers behind become convolutions"
        )
    return ""


def _convolution(node: Any, shape: Shape) -> nir.NIRNode:
    outputs = node.weight.shape[0]
    kernel = node.weight.reshape(outputs, *shape)
    side = max(shape[1:])
    margins = [(side - size) // 2 for size in shape[1:]]
    bias: Array = node.bias if hasattr(node, "bias") else np.zeros(outputs)
    told = written_out(1, shape[1:]) if any(margins) else {}
    if shape[1:] == (1, 1):
        told = {key: [*layer, 1, 1] for key, layer in written_out_of(node).items()}
    return nir.Conv2d(
        input_shape=shape[1:],
        weight=np.pad(kernel, [(0, 0), (0, 0), *((m, m) for m in margins)]),
        stride=(1, 1),
        padding=tuple(margins),
        dilation=(1, 1),
        groups=1,
        bias=bias,
        metadata=told,
    )


def _column(node: nir.NIRNode, names: tuple[str, ...]) -> nir.NIRNode:
    return with_fields(node, **{n: np.asarray(getattr(node, n))[:, None, None] for n in names})
