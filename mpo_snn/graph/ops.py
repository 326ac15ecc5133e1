"""The stateless NIR nodes as functions on [N, *features], with time folded into the first axis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .geometry import Window, convolution_window, flatten_axes, pooling_window
from .kinds import kind_of

Operation = Callable[[Tensor], Tensor]


def parameter(value: Any, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a node's parameter as a tensor of the given precision, rounded once from float64."""
    array = np.array(value, dtype=np.float64, order="C")
    return torch.from_numpy(array).to(device=device, dtype=dtype)


def per_element(value: Any, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a parameter in float64 with one value per element of `shape`.

    A parameter with a single value, whatever its shape, holds for every element.
    """
    array = np.asarray(value, dtype=np.float64)
    if array.size == 1:
        array = array.reshape(())
    return np.broadcast_to(array, shape)


def operation(
    node: Any, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> Operation:
    """Make the operation of a stateless node for inputs of shape [N, *shape].

    Affine and Linear multiply the last axis; a weight with leading axes holds one matrix for each
    of their elements. Convolutions follow torch's (cross-correlation). AvgPool2d divides by the
    size of the window, padded zeros included; SumPool2d does not divide. Scale multiplies element
    by element; Threshold gives 1 where its input is larger than the threshold, else 0.
    """
    match kind_of(node):
        case "Input" | "Output":
            return lambda x: x
        case "Affine" | "Linear":
            return product(*affine(node, dtype, device))
        case "Conv1d" | "Conv2d":
            return convolution(convolution_kernel(node, dtype, device))
        case "AvgPool2d" | "SumPool2d":
            return _pooling(node)
        case "Flatten":
            start, end = flatten_axes(node, len(shape))
            return lambda x: x.flatten(start + 1, end + 1)
        case "Scale":
            scale = parameter(per_element(node.scale, shape), dtype, device)
            return lambda x: x * scale
        case "Threshold":
            threshold = parameter(per_element(node.threshold, shape), dtype, device)
            return lambda x: torch.gt(x, threshold, out=torch.empty_like(x))
        case kind:
            raise AssertionError(f"no stateless operation for {kind}")


def affine(node: Any, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Read an Affine or a Linear: its weight, [*, outputs, inputs], and its bias, if it has one."""
    weight = parameter(node.weight, dtype, device)
    if kind_of(node) == "Linear":
        return weight, None
    return weight, parameter(per_element(node.bias, tuple(weight.shape[:-1])), dtype, device)


def product(weight: Tensor, bias: Tensor | None) -> Operation:
    """Make the operation that multiplies the last axis and adds the bias."""
    if weight.ndim == 2:
        return lambda x: F.linear(x, weight, bias)

    def matrices(x: Tensor) -> Tensor:
        product = torch.matmul(weight, x.unsqueeze(-1)).squeeze(-1)
        return product if bias is None else product + bias

    return matrices


def convolution(kernel: Kernel) -> Operation:
    """Make the operation of a kernel; what enters lies in memory as its weight does."""
    window = kernel.window
    zeros = window.zeros()
    before = tuple(first for first, _ in zeros)
    behind = tuple(last - first for first, last in zeros)  # more than before: padding "same"

    def apply(x: Tensor) -> Tensor:
        if any(behind):
            x = F.pad(x, [size for last in reversed(behind) for size in (0, last)])
        if kernel.is_channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        return F.conv2d(
            x, kernel.weight, kernel.bias, window.stride, before, window.dilation, window.groups
        )

    if kernel.is_line:
        return lambda x: apply(x.unsqueeze(2)).squeeze(2)
    return apply


@dataclass(frozen=True)
class Kernel:
    """A Conv2d, or a Conv1d as one over a single line of pixels.

    Attributes:
        weight: [outputs, channels / groups, rows, columns].
        bias: [outputs].
        window: how it moves.
        is_line: whether the node is a Conv1d.
        is_channels_last: whether the channels of a pixel lie one after another.
    """

    weight: Tensor
    bias: Tensor
    window: Window
    is_line: bool
    is_channels_last: bool


def convolution_kernel(node: Any, dtype: torch.dtype, device: torch.device) -> Kernel:
    """Read a Conv1d or Conv2d.

    In float32 on the CPU the channels of a pixel lie one after another: oneDNN is up to twice as
    fast so, and adds up in one order whatever the processor (`mpo_snn.kernels.event_conv.ORDER`).
    """
    weight = parameter(node.weight, dtype, device)
    bias = parameter(per_element(node.bias, tuple(weight.shape[:1])), dtype, device)
    window = convolution_window(node)
    is_line = kind_of(node) == "Conv1d"
    if is_line:
        weight = weight.unsqueeze(2)
        padding = "same" if isinstance(window.padding, str) else (0, *window.padding)
        window = Window(
            (1, *window.kernel), (1, *window.stride), padding, (1, *window.dilation), window.groups
        )
    is_channels_last = device.type == "cpu" and dtype == torch.float32
    form = torch.channels_last if is_channels_last else torch.contiguous_format
    weight = weight.contiguous(memory_format=form)
    return Kernel(weight, bias, window, is_line, is_channels_last)


def _pooling(node: Any) -> Operation:
    window = pooling_window(node)
    divisor = 1 if kind_of(node) == "SumPool2d" else None
    vertical, horizontal = window.zeros()

    def pool(x: Tensor) -> Tensor:
        if any(vertical + horizontal):  # torch's own padding stops at half a window
            x = F.pad(x, horizontal + vertical)
        return F.avg_pool2d(x, window.kernel, window.stride, divisor_override=divisor)

    return pool
