"""The stateless NIR nodes in ONNX operators; values have shape (batch, *features).

What each node computes is said in `mpo_snn.graph.ops`. Sums over windows are convolutions with
ones, one channel at a time, so that sums of spikes stay whole numbers. Padding of pools is a node
of its own, for runtimes stop at padding as wide as the window.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mpo_snn.graph.geometry import Window, convolution_window, flatten_axes, pooling_window
from mpo_snn.graph.kinds import kind_of
from mpo_snn.graph.ops import per_element

from .writer import Scope

Shape = tuple[int, ...]


def write_operation(scope: Scope, node: Any, x: str, shape: Shape) -> str:
    """Write a stateless node of NIR; returns the name of its value.

    Args:
        scope: where.
        node: the NIR node.
        x: its input.
        shape: that of its input, without batch.
    """
    match kind_of(node):
        case "Input" | "Output":
            return x
        case "Affine" | "Linear":
            return _affine(scope, node, x)
        case "Conv1d" | "Conv2d":
            return _convolution(scope, node, x)
        case "AvgPool2d" | "SumPool2d":
            return _pooling(scope, node, x, shape)
        case "Flatten":
            start, end = flatten_axes(node, len(shape))
            sizes = [-1, *shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]]
            return scope.write("Reshape", [x, scope.integers("shape", sizes)])
        case "Scale":
            return scope.write("Mul", [x, scope.parameter("scale", per_element(node.scale, shape))])
        case "Threshold":
            return scope.spikes(x, per_element(node.threshold, shape))[1]
        case kind:
            raise AssertionError(f"no stateless operation for {kind}")


def _affine(scope: Scope, node: Any, x: str) -> str:
    weight = np.asarray(node.weight)
    inputs = [scope.parameter("weight", weight, compact=False)]
    if kind_of(node) == "Affine":
        bias = per_element(node.bias, weight.shape[:-1])
        inputs.append(scope.parameter("bias", bias, compact=False))
    if weight.ndim == 2:
        return scope.write("Gemm", [x, *inputs], transB=1)
    last = scope.integers("last_axis", [-1])
    column = scope.write("Unsqueeze", [x, last], "column")
    product = scope.write("MatMul", [inputs[0], column], "product")
    if len(inputs) == 1:
        return scope.write("Squeeze", [product, last])
    return scope.write("Add", [scope.write("Squeeze", [product, last], "row"), inputs[1]])


def _convolution(scope: Scope, node: Any, x: str) -> str:
    weight, window = np.asarray(node.weight), convolution_window(node)
    inputs = [x, scope.parameter("weight", weight, compact=False)]
    bias = per_element(node.bias, weight.shape[:1])
    if bias.any():
        inputs.append(scope.parameter("bias", bias, compact=False))
    return scope.write(
        "Conv",
        inputs,
        kernel_shape=window.kernel,
        strides=window.stride,
        pads=_pads(window),
        dilations=window.dilation,
        group=window.groups,
    )


def _pooling(scope: Scope, node: Any, x: str, shape: Shape) -> str:
    window = pooling_window(node)
    pads = _pads(window)
    if any(pads):
        around = scope.integers("padding", [0, 0, *pads[:2], 0, 0, *pads[2:]])
        x = scope.write("Pad", [x, around], "padded")
    where: dict[str, Any] = {"kernel_shape": window.kernel, "strides": window.stride}
    if kind_of(node) == "AvgPool2d":
        return scope.write("AveragePool", [x], **where)
    ones = scope.parameter("ones", np.ones((shape[0], 1, *window.kernel)), compact=False)
    return scope.write("Conv", [x, ones], group=shape[0], **where)


def _pads(window: Window) -> list[int]:
    """Zeros in ONNX's order: before each axis, then behind each."""
    zeros = window.zeros()
    return [first for first, _ in zeros] + [last for _, last in zeros]
