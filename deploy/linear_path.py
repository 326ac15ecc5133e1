"""The stateless nodes between two layers of neurons, as one linear map.

Chips have room for this between spikes and neurons: sums over windows, then one convolution or one
dense matrix. What else is linear is folded into the weight: the average of a pooling, scales in
front and behind, groups and dilation of a kernel (as zeros).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mpo_snn.errors import GraphError
from mpo_snn.graph.geometry import convolution_window, flatten_axes, pooling_window
from mpo_snn.graph.kinds import kind_of
from mpo_snn.graph.ops import per_element
from mpo_snn.graph.plain_kernel import undilated, ungrouped

from .layers import Projection

Array = NDArray[np.float64]


class NoPath(GraphError):
    """A way through nodes that no chip has; `fix` says what would help."""

    def __init__(self, found: str, allowed: str, fix: str) -> None:
        """Keep the parts of a finding."""
        super().__init__(found)
        self.found, self.allowed, self.fix = found, allowed, fix


@dataclass
class _Map:
    """What was folded up to some node.

    Attributes:
        shape: of the values there.
        pool: windows so far.
        before: factors on what the weight takes, of the pooled shape, or one number.
        weight: once there is one.
    """

    shape: tuple[int, ...]
    pool: tuple[int, int] = (1, 1)
    before: Array | float = 1.0
    weight: Array | None = None
    kind: str = ""
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)


def fold_path(
    source: str,
    source_shape: tuple[int, ...],
    path: Sequence[tuple[str, Any]],
    target: str,
    shape: tuple[int, ...],
) -> Projection:
    """The nodes between a source and a layer as one projection, without their biases.

    Args:
        source: name of a layer, or the input.
        source_shape: of its spikes.
        path: the nodes on the way, (name, node), the first one behind the source.
        target: the node that they lead to, for messages where there is none on the way.
        shape: of the neurons.

    Raises:
        NoPath: if they are more than windows that are summed and one linear map.
    """
    found, node_name = _Map(source_shape), target
    for name, node in path:
        node_name = name if kind_of(node) in _WEIGHTED or found.weight is None else node_name
        _STEPS.get(kind_of(node), _unknown)(found, node)
    if found.weight is None:
        _identity(found)
    weight = found.weight
    assert weight is not None, "a path without a weight was made an identity"
    return Projection(
        source=source,
        node=node_name,
        kind="convolution" if found.kind == "convolution" else "dense",
        weight=torch.from_numpy(np.ascontiguousarray(weight)),
        source_shape=source_shape,
        output_shape=shape,
        pool=found.pool,
        stride=found.stride,
        padding=found.padding,
    )


def bias_of(node: Any, shape: tuple[int, ...]) -> Array | None:
    """The bias of a node with a weight, spread over what it puts out; None if it has none."""
    bias = getattr(node, "bias", None)
    if bias is None or kind_of(node) not in _WEIGHTED:
        return None
    values = np.asarray(bias, dtype=np.float64)
    if kind_of(node) == "Conv2d" and values.size > 1:
        values = values.reshape(-1, 1, 1)
    return per_element(values, shape).copy()


def scale_behind(path: Sequence[tuple[str, Any]], name: str, shape: tuple[int, ...]) -> Array:
    """The product of all Scale nodes behind a node of a path, of the shape of its output."""
    factor, is_behind = np.ones(shape), False
    for other, node in path:
        if is_behind and kind_of(node) == "Scale":
            factor = factor * per_element(node.scale, shape)
        is_behind |= other == name
    return factor


_WEIGHTED = ("Affine", "Linear", "Conv2d")


def _unknown(found: _Map, node: Any) -> None:
    raise NoPath(
        f"{kind_of(node)} between layers of neurons",
        "Conv2d, Affine, Linear, SumPool2d, AvgPool2d, Flatten and Scale",
        "write it as one of these",
    )


def _pool(found: _Map, node: Any) -> None:
    if found.weight is not None:
        raise NoPath(
            f"{kind_of(node)} behind a weight and in front of neurons",
            "pooling of spikes, in front of the next weight",
            "train with the pooling behind the neurons",
        )
    window = pooling_window(node)
    if window.kernel != window.stride or any(window.padding) or len(found.shape) != 3:
        raise NoPath(
            f"pooling of {window.kernel} with stride {window.stride} and padding {window.padding}",
            "windows that do not overlap, without padding",
            "train with stride equal to the kernel and padding 0",
        )
    if np.ndim(found.before):
        raise NoPath("Scale in front of a pooling", "Scale behind it", "swap them")
    channels, height, width = found.shape
    down, across = window.kernel
    found.pool = (found.pool[0] * down, found.pool[1] * across)
    found.shape = (channels, height // down, width // across)
    if kind_of(node) == "AvgPool2d":
        found.before = found.before / (down * across)


def _flatten(found: _Map, node: Any) -> None:
    start, end = flatten_axes(node, len(found.shape))
    if found.kind == "convolution" and end > start:
        raise NoPath(
            "Flatten between a convolution and its neurons",
            "neurons of the shape of the map",
            "put the Flatten behind the neurons",
        )
    joined = int(np.prod(found.shape[start : end + 1]))
    found.shape = (*found.shape[:start], joined, *found.shape[end + 1 :])
    if np.ndim(found.before):
        found.before = np.asarray(found.before).reshape(found.shape)


def _scale(found: _Map, node: Any) -> None:
    scale = per_element(node.scale, found.shape)
    if found.weight is None:
        found.before = found.before * scale
        return
    if found.kind == "dense":
        found.weight = found.weight * scale[:, None]
        return
    found.weight = found.weight * _per_channel(scale)[:, None, None, None]


def _dense(found: _Map, node: Any) -> None:
    _refuse_second(found)
    weight = np.asarray(node.weight, dtype=np.float64)
    if weight.ndim != 2 or len(found.shape) != 1:
        raise NoPath(
            f"a dense layer on values of shape {found.shape}",
            "a dense layer on one axis",
            "put a Flatten in front",
        )
    found.weight = weight * per_element(found.before, found.shape)[None, :]
    found.kind, found.shape = "dense", (weight.shape[0],)


def _convolution(found: _Map, node: Any) -> None:
    _refuse_second(found)
    window = convolution_window(node)
    zeros = window.zeros()
    if any(first != last for first, last in zeros):
        raise NoPath(
            f"padding 'same' that is uneven for kernel {window.kernel}",
            "the same padding on both sides",
            "use odd kernels, or padding in numbers",
        )
    weight = np.asarray(node.weight, dtype=np.float64)
    weight = undilated(ungrouped(weight, window.groups), window.dilation)
    if np.ndim(found.before):
        weight = weight * _per_channel(np.asarray(found.before))[None, :, None, None]
    else:
        weight = weight * found.before
    found.weight, found.kind = weight, "convolution"
    found.stride = (window.stride[0], window.stride[1])
    found.padding = (zeros[0][0], zeros[1][0])
    height, width = window.output_size(found.shape[1:])
    found.shape = (weight.shape[0], height, width)


def _identity(found: _Map) -> None:
    """Spikes that reach neurons as they are: a convolution of 1x1, or the unit matrix."""
    if len(found.shape) == 3:
        channels = found.shape[0]
        scale = _per_channel(per_element(found.before, found.shape))
        found.weight = np.diag(scale).reshape(channels, channels, 1, 1)
        found.kind = "convolution"
    else:
        found.weight, found.kind = np.diag(per_element(found.before, found.shape)), "dense"


def _refuse_second(found: _Map) -> None:
    if found.weight is not None:
        raise NoPath(
            "two weights in a row",
            "neurons between any two weights",
            "multiply them into one, or put neurons between them",
        )


def _per_channel(scale: Array) -> Array:
    channels = scale.reshape(scale.shape[0], -1)
    if not bool((channels == channels[:, :1]).all()):
        raise NoPath(
            "a Scale that differs within a channel, beside a convolution",
            "one factor per channel",
            "scale whole channels",
        )
    return channels[:, 0].copy()


_STEPS = {
    "AvgPool2d": _pool,
    "SumPool2d": _pool,
    "Flatten": _flatten,
    "Scale": _scale,
    "Affine": _dense,
    "Linear": _dense,
    "Conv2d": _convolution,
}
