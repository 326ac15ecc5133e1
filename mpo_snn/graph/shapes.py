"""The shape at every node of a graph, and where two ends of an edge do not fit.

`nir` has an inference of its own, but it ignores the groups of a convolution and takes every
kernel for square. Shapes are those of one sample, without batch and time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import nir
import numpy as np

from mpo_snn.errors import GraphError

from .geometry import Window, convolution_window, flatten_axes, pooling_window
from .inline import FlatGraph
from .kinds import ELEMENTWISE_ARRAYS, kind_of
from .loops import walk

Shape = tuple[int, ...]
_AXES = ("a batch axis", "batch and time axes")
"""What axes of length 1 in front are: one, several."""


@dataclass(frozen=True)
class Shapes:
    """What came out of the inference.

    Args:
        outputs: the output shape of each node, as far as it could be told.
        findings: what does not fit, one line each.
    """

    outputs: dict[str, Shape]
    findings: list[str]


class _Misfit(Exception):
    """An input that a node cannot take; says what it takes instead."""


def infer_shapes(flat: FlatGraph) -> Shapes:
    """Follow the shapes from the Input through the graph, and compare the two ends of every edge.

    A neuron parameter, Scale, Threshold or Delay with a single value takes any shape; one with
    several values takes exactly its own. The input_shape of a convolution and the input_type of a
    Flatten, where given, must be what arrives. What cannot be told, because something before it is
    wrong, is left out without a finding of its own.
    """
    nodes = [*flat.inputs, *(name for name in flat.nodes if name not in flat.inputs)]
    parents = walk(nodes, flat.edges).parents
    outputs: dict[str, Shape] = {}
    findings: list[str] = []
    for name, parent in parents.items():
        if name in flat.inputs:
            shape = declared_shape(flat.nodes[name])
            if shape is None:
                findings.append(f"Input {name!r} has no shape")
        elif parent is not None and parent in outputs:
            shape = _follow(flat, parent, name, outputs[parent], findings)
        else:
            shape = None
        if shape is not None:
            outputs[name] = shape
    for source, target in dict.fromkeys(flat.edges):
        parent = parents[target]
        if parent is None or source == parent or not {source, parent} <= outputs.keys():
            continue
        known = len(findings)
        _follow(flat, source, target, outputs[source], findings)
        if len(findings) == known and outputs[source] != outputs[parent]:
            findings.append(
                f"{_label(flat, target)} adds up {outputs[parent]} from {_label(flat, parent)} "
                f"and {outputs[source]} from {_label(flat, source)}"
            )
    return Shapes(outputs, findings)


def leading_ones(flat: FlatGraph) -> list[str]:
    """Tell of axes of length 1 in front of Input and Output, where nothing fits but without them.

    Such an axis is the batch or the time, which shapes in NIR do not have; rockpool writes them.
    """
    if not infer_shapes(flat).findings:
        return []
    ends = {name: declared_shape(flat.nodes[name]) for name in (*flat.inputs, *flat.outputs)}
    rests = {name: _without_leading_ones(shape) for name, shape in ends.items() if shape}
    bare = {name: _port(flat.nodes[name], rest) for name, rest in rests.items()}
    if infer_shapes(replace(flat, nodes={**flat.nodes, **bare})).findings:
        return []
    return [
        f"{_label(flat, name)} is {ends[name]}, with {_AXES[more > 1]} of length 1 in front;"
        f" shapes in NIR have neither batch nor time, so write {rest}: docs/foreign.md, Files of"
        " rockpool, has the lines"
        for name, rest in rests.items()
        if (more := len(ends[name] or ()) - len(rest))
    ]


def _without_leading_ones(shape: Shape) -> Shape:
    first = next((i for i, size in enumerate(shape) if size != 1), len(shape) - 1)
    return shape[first:]


def _port(node: Any, shape: Shape) -> nir.NIRNode:
    kind = nir.Input if kind_of(node) == "Input" else nir.Output
    return kind(np.array(shape))


def input_shape(graph: nir.NIRGraph) -> Shape:
    """Return the shape that the Input of a checked graph declares; () if it declares none."""
    ends = [node for node in graph.nodes.values() if kind_of(node) == "Input"]
    return declared_shape(ends[0]) or ()


def common_input_shape(first: Shape, second: Shape) -> Shape:
    """The shape of one sample that two graphs are run on, by the shapes that their Inputs declare.

    A graph whose Input is flat takes samples of any shape with as many values, in their order;
    where the first is flat it is therefore the shape of the second.
    """
    return second if first == (math.prod(second),) else first


def declared_shape(node: Any) -> Shape | None:
    """Return the shape that an Input, Output or Flatten declares to receive, None without one."""
    value = (node.input_type or {}).get("input")
    return None if value is None else tuple(int(size) for size in np.ravel(value))


def element_shape(node: Any) -> Shape | None:
    """Return the shape of an elementwise node's parameters, None if they hold a single value.

    Raises:
        GraphError: if its parameters differ in shape.
    """
    shapes = {field: np.shape(getattr(node, field)) for field in ELEMENTWISE_ARRAYS[kind_of(node)]}
    several = {shape for shape in shapes.values() if math.prod(shape) != 1}
    if len(several) > 1:
        found = ", ".join(f"{field} {shape}" for field, shape in shapes.items())
        raise GraphError(f"its parameters differ in shape: {found}")
    return several.pop() if several else None


def _label(flat: FlatGraph, name: str) -> str:
    return f"{name!r} ({kind_of(flat.nodes[name])})"


def _follow(
    flat: FlatGraph, source: str, target: str, shape: Shape, findings: list[str]
) -> Shape | None:
    """Return the target's output shape if the source gives it `shape`; None if there is none."""
    node = flat.nodes[target]
    try:
        return _output_shape(node, shape)
    except GraphError:
        return None  # wrong whatever arrives: a finding of the node, not of this edge
    except _Misfit as misfit:
        findings.append(
            f"{_label(flat, source)} gives {shape}, but {_label(flat, target)} takes {misfit}"
        )
        return _own_output_shape(node)


def _output_shape(node: Any, shape: Shape) -> Shape | None:
    kind = kind_of(node)
    if kind in ("Input", "Output"):
        return _exactly(declared_shape(node), shape)
    if kind in ELEMENTWISE_ARRAYS:
        return _exactly(element_shape(node), shape)
    if kind in ("Affine", "Linear"):
        weight: Shape = np.shape(node.weight)
        if len(weight) < 2:
            return None
        _exactly((*weight[:-2], weight[-1]), shape)
        return weight[:-1]
    if kind in ("Conv1d", "Conv2d"):
        window = convolution_window(node)
        out, channels = np.shape(node.weight)[:2]
        declared = None if node.input_shape is None else tuple(np.ravel(node.input_shape).tolist())
        return (out, *_place(window, shape, channels * window.groups, declared))
    if kind in ("AvgPool2d", "SumPool2d"):
        window = pooling_window(node)
        return (*shape[:1], *_place(window, shape, None, None))
    if kind == "Flatten":
        _exactly(declared_shape(node), shape)
        try:
            start, end = flatten_axes(node, len(shape))
        except GraphError as error:
            raise _Misfit(f"another number of axes: {error}") from error
        return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])
    return None


def _own_output_shape(node: Any) -> Shape | None:
    """Return the output shape where it does not depend on the input."""
    kind = kind_of(node)
    if kind in ELEMENTWISE_ARRAYS:
        return element_shape(node)
    if kind in ("Affine", "Linear"):
        weight: Shape = np.shape(node.weight)
        return weight[:-1]
    return None


def _exactly(expected: Shape | None, shape: Shape) -> Shape:
    if expected is not None and expected != shape:
        raise _Misfit(str(expected))
    return shape


def _place(window: Window, shape: Shape, channels: int | None, declared: Shape | None) -> Shape:
    """Return the spatial shape after moving a window over an input of [channels, *axes]."""
    axes = ("height", "width") if len(window.kernel) == 2 else ("length",)
    sizes = axes if declared is None else tuple(str(size) for size in declared)
    expected = f"({', '.join(['channels' if channels is None else str(channels), *sizes])})"
    if (
        len(shape) != 1 + len(axes)
        or (channels is not None and shape[0] != channels)
        or (declared is not None and shape[1:] != declared)
    ):
        raise _Misfit(expected)
    placed = window.output_size(shape[1:])
    if min(placed) < 1:
        raise _Misfit(f"{expected} with room for its kernel {window.kernel}")
    return placed
