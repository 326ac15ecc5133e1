"""The nodes of a NIR graph without state, as torch.nn layers on (batch, *features)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mpo_snn.errors import GraphError
from mpo_snn.graph.connections import layer_inside
from mpo_snn.graph.geometry import Window, convolution_window, flatten_axes, pooling_window
from mpo_snn.graph.kinds import kind_of
from mpo_snn.graph.ops import per_element
from mpo_snn.scale import Scale

Array = NDArray[np.float64]


def read_layer(node: Any, shape: tuple[int, ...], offset: Array | None) -> nn.Module:
    """The layer of a node; its parameters are float64.

    Args:
        node: Affine, Linear, Conv1d, Conv2d, AvgPool2d, SumPool2d, Flatten or Scale.
        shape: of its input, (*features).
        offset: added to its bias, one value per output channel; None for nothing.

    Raises:
        GraphError: if no layer of torch computes it.
    """
    match kind_of(node):
        case "Affine" | "Linear":
            return _dense(node, offset)
        case "Conv1d" | "Conv2d":
            return _convolution(node, offset)
        case "AvgPool2d" | "SumPool2d":
            return _pool(node)
        case "Flatten":
            start, end = flatten_axes(node, len(shape))
            return nn.Flatten(start + 1, end + 1)
        case "Scale":
            scale = np.asarray(node.scale, dtype=np.float64)
            return Scale(torch.from_numpy(per_element(scale, shape).copy()))
        case kind:
            raise GraphError(f"a {kind} has no layer here")


def _dense(node: Any, offset: Array | None) -> nn.Module:
    weight = np.asarray(node.weight, dtype=np.float64)
    if weight.ndim != 2:
        raise GraphError(
            f"its weight has shape {weight.shape}, one matrix for each of the leading elements:"
            " write it as one matrix, with a Flatten in front"
        )
    bias = None
    if kind_of(node) == "Affine" or offset is not None:
        bias = per_element(getattr(node, "bias", 0.0), weight.shape[:1]).copy()
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    return _filled(layer, weight, bias, offset)


def _convolution(node: Any, offset: Array | None) -> nn.Module:
    weight = np.asarray(node.weight, dtype=np.float64)
    window = convolution_window(node)
    inside = layer_inside(node) if window.groups == 1 else None
    if inside is not None:
        weight, window = _as_trained(weight, window, *inside)
    zeros = window.zeros()
    if any(before != behind for before, behind in zeros):
        raise GraphError(
            f"it pads 'same' unevenly for kernel {window.kernel}: use odd kernels, or padding in"
            " numbers"
        )
    kind = nn.Conv1d if kind_of(node) == "Conv1d" else nn.Conv2d
    layer = kind(
        weight.shape[1] * window.groups,
        weight.shape[0],
        window.kernel,  # type: ignore[arg-type]
        window.stride,  # type: ignore[arg-type]
        tuple(before for before, _ in zeros),  # type: ignore[arg-type]
        window.dilation,  # type: ignore[arg-type]
        window.groups,
    )
    return _filled(layer, weight, per_element(node.bias, weight.shape[:1]).copy(), offset)


def _as_trained(
    stored: Array, window: Window, weight: Array, groups: int, margins: tuple[int, ...]
) -> tuple[Array, Window]:
    """Kernel and window without the zeros that export wrote out; as stored where none can go."""
    kernel = tuple(weight.shape[2:])
    if isinstance(window.padding, str):
        return (stored, window) if any(margins) else (weight, replace(window, groups=groups))
    less = (d * m for d, m in zip(window.dilation, margins, strict=True))
    padding = tuple(p - fewer for p, fewer in zip(window.padding, less, strict=True))
    if min(padding) < 0:
        return stored, window
    return weight, replace(window, kernel=kernel, padding=padding, groups=groups)


def _pool(node: Any) -> nn.Module:
    window = pooling_window(node)
    padding = tuple(before for before, _ in window.zeros())
    if any(2 * p > k for p, k in zip(padding, window.kernel, strict=True)):
        raise GraphError(
            f"it pads {padding} for windows of {window.kernel}, and torch pads half a window at"
            " most: pad in the convolution in front, or not at all"
        )
    divisor = 1 if kind_of(node) == "SumPool2d" else None
    return nn.AvgPool2d(window.kernel, window.stride, padding, divisor_override=divisor)  # type: ignore[arg-type]


def _filled(layer: nn.Module, weight: Array, bias: Array | None, offset: Array | None) -> nn.Module:
    layer.weight = nn.Parameter(torch.from_numpy(weight.copy()))
    if bias is not None:
        layer.bias = nn.Parameter(torch.from_numpy(bias if offset is None else bias + offset))
    return layer
