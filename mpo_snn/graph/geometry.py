"""Strides, paddings and kernel sizes of NIR nodes as plain integers, and the shapes they lead to.

In memory these fields are integers, pairs or arrays, after reading a file they are arrays of any
shape; here each is a tuple with one integer per spatial axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mpo_snn.errors import GraphError

from .kinds import kind_of


@dataclass(frozen=True)
class Window:
    """How a kernel moves over the spatial axes; one integer per axis.

    Args:
        kernel: its size.
        stride: the distance between two positions.
        padding: zeros on either side, or "same" for an output as large as the input (stride 1;
            an odd zero goes behind).
        dilation: the distance between two elements of the kernel.
        groups: the number of independent groups of channels.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] | str
    dilation: tuple[int, ...]
    groups: int = 1

    def zeros(self) -> tuple[tuple[int, int], ...]:
        """Return how many zeros stand before and behind each axis."""
        if isinstance(self.padding, str):
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel, strict=True)]
            return tuple((total // 2, total - total // 2) for total in totals)
        return tuple((size, size) for size in self.padding)

    def output_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Return the spatial size of the output, floor((n + p - d(k - 1) - 1) / s) + 1 per axis.

        p is the number of zeros on both sides together. An axis on which the kernel finds no
        place comes out smaller than 1.
        """
        return tuple(
            (n + sum(p) - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(
                size, self.zeros(), self.dilation, self.kernel, self.stride, strict=True
            )
        )


def convolution_window(node: Any) -> Window:
    """Read the window of a Conv1d or Conv2d.

    Raises:
        GraphError: if a field is not made of allowed integers, or 'same' meets a stride.
    """
    axes = 1 if kind_of(node) == "Conv1d" else 2
    weight = np.asarray(node.weight)
    if weight.ndim != axes + 2:
        raise GraphError(
            f"weight has shape {weight.shape}, expected {axes + 2} axes: "
            "(out, in / groups, *kernel)"
        )
    stride = _integers(node.stride, "stride", axes, least=1)
    padding: tuple[int, ...] | str
    if isinstance(node.padding, str):
        if node.padding not in ("same", "valid"):
            raise GraphError(f"padding is {node.padding!r}, expected 'same', 'valid' or integers")
        if node.padding == "same" and set(stride) != {1}:
            raise GraphError(f"padding 'same' is undefined for stride {stride}; give integers")
        padding = "same" if node.padding == "same" else (0,) * axes
    else:
        padding = _integers(node.padding, "padding", axes, least=0)
    (groups,) = _integers(node.groups, "groups", 1, least=1)
    if weight.shape[0] % groups:
        raise GraphError(f"{weight.shape[0]} output channels do not divide into {groups} groups")
    dilation = _integers(node.dilation, "dilation", axes, least=1)
    return Window(weight.shape[2:], stride, padding, dilation, groups)


def pooling_window(node: Any) -> Window:
    """Read the window of an AvgPool2d or SumPool2d.

    Raises:
        GraphError: if a field is not made of allowed integers.
    """
    return Window(
        kernel=_integers(node.kernel_size, "kernel_size", 2, least=1),
        stride=_integers(node.stride, "stride", 2, least=1),
        padding=_integers(node.padding, "padding", 2, least=0),
        dilation=(1, 1),
    )


def flatten_axes(node: Any, axes: int) -> tuple[int, int]:
    """Return the first and last axis that a Flatten joins, counted in the unbatched shape.

    NIR's shapes have neither batch nor time, so start_dim = 0 is the first feature axis; a negative
    number counts from the last one.

    Raises:
        GraphError: if these are not axes of an input with that many, in ascending order.
    """
    bounds = []
    for field in ("start_dim", "end_dim"):
        (axis,) = _integers(getattr(node, field), field, 1, least=-axes)
        if axis >= axes:
            raise GraphError(f"{field} is {axis}, but the input has {axes} axes")
        bounds.append(axis % axes)
    start, end = bounds
    if start > end:
        raise GraphError(f"start_dim {node.start_dim} comes after end_dim {node.end_dim}")
    return start, end


def _integers(value: Any, field: str, count: int, *, least: int) -> tuple[int, ...]:
    allowed = f"an integer >= {least}" if count == 1 else f"1 or {count} integers >= {least}"
    array = np.asarray(value)
    if array.dtype.kind in "iuf" and array.size in (1, count):
        flat = [item for item in array.ravel().tolist() if float(item).is_integer()]
        if len(flat) == array.size and min(flat) >= least:
            return tuple(int(item) for item in flat) * (count // len(flat))
    raise GraphError(f"{field} is {value!r}, expected {allowed}".replace("\n", " "))
