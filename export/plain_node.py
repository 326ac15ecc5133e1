"""What is no neuron, in NIR: ports, weights, pools, flattening, factors."""

from __future__ import annotations

import nir
import numpy as np

from mpo_snn.graph.connections import written_out

from . import draft as d
from .draft import Node


def plain_node(node: Node) -> nir.NIRNode:
    """The node of NIR that does what a node of the draft does."""
    if isinstance(node, d.Input):
        return nir.Input(input_type={"input": np.array(node.shape)})
    if isinstance(node, d.Output):
        return nir.Output(output_type={"output": np.array(node.shape)})
    if isinstance(node, d.Dense):
        if node.bias is None:
            return nir.Linear(weight=node.weight)
        return nir.Affine(weight=node.weight, bias=node.bias)
    if isinstance(node, d.Convolution):
        return _convolution(node)
    if isinstance(node, d.AveragePool | d.SumPool):
        kind = nir.AvgPool2d if isinstance(node, d.AveragePool) else nir.SumPool2d
        kernel, stride, padding = (np.array(v) for v in (node.kernel, node.stride, node.padding))
        return kind(kernel_size=kernel, stride=stride, padding=padding)
    if isinstance(node, d.Flatten):
        return nir.Flatten(
            input_type={"input": np.array(node.input_shape)},
            start_dim=node.start,
            end_dim=node.end,
        )
    if isinstance(node, d.Multiplication):
        return nir.Scale(scale=np.full(node.shape, node.factor))
    raise AssertionError(f"no pass removed {type(node).__name__} from the draft")


def _convolution(node: d.Convolution) -> nir.NIRNode:
    bias = np.zeros(node.weight.shape[0]) if node.bias is None else node.bias
    metadata = {} if node.layer is None else written_out(node.layer[0], node.layer[1:])
    if len(node.input_shape) == 1:
        return nir.Conv1d(
            input_shape=node.input_shape[0],
            weight=node.weight,
            stride=node.stride[0],
            padding=node.padding[0],
            dilation=node.dilation[0],
            groups=node.groups,
            bias=bias,
            metadata=metadata,
        )
    return nir.Conv2d(
        input_shape=node.input_shape,
        weight=node.weight,
        stride=node.stride,
        padding=node.padding,
        dilation=node.dilation,
        groups=node.groups,
        bias=bias,
        metadata=metadata,
    )
