"""Changed copies of a model for its proof: layers shown, layers forced, absolute values."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from onnx import ModelProto, ValueInfoProto, helper, numpy_helper

from .layout import Layout

OWN = ".own"
"""Ends the name of a layer's own spikes where the others see forced ones."""
_NEVER = 3e38
"""A threshold in volt that no membrane reaches, within float32."""


def shown(model: ModelProto, layout: Layout) -> ModelProto:
    """The model with all spikes and membranes, and the outputs of all timesteps, as outputs."""
    copy = _copied(model)
    names = [name for pair in _layer_values(layout) for name in pair]
    if layout.timesteps is not None:
        names += [layout.at(layout.output, t) for t in range(layout.timesteps)]
    copy.graph.output.extend(_untyped(names, model))
    return copy


def forced(model: ModelProto, layout: Layout) -> ModelProto:
    """The shown model, in which all that reads a layer's spikes reads an input in their place.

    The reset within the step is the neuron's own, and so is that of a composite form, which takes
    it from the membrane.
    """
    copy = shown(model, layout)
    spikes = {spikes for spikes, _ in _layer_values(layout)}
    for node in copy.graph.node:
        if node.output[0] in spikes:
            node.output[0] += OWN
    kept = [v for v in copy.graph.output if v.name not in spikes or v.name == layout.output]
    kept += _untyped((name + OWN for name in spikes), model)
    del copy.graph.output[:]
    copy.graph.output.extend(kept)
    copy.graph.input.extend(_untyped(spikes, model))
    return copy


def absolute(model: ModelProto) -> ModelProto:
    """The model with the absolute values of all parameters and no neuron that ever fires."""
    copy = _copied(model)
    thresholds = {node.input[1] for node in model.graph.node if node.op_type == "Greater"}
    for tensor in copy.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype.kind != "f":
            continue
        array = np.full_like(array, _NEVER) if tensor.name in thresholds else np.abs(array)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return copy


def longest_sum(model: ModelProto) -> int:
    """Terms of the longest sum in the model: fan-in of a weight, window of a pool."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    longest = 1
    for node in model.graph.node:
        if node.op_type in ("Gemm", "Conv", "MatMul"):
            weight = next(shapes[name] for name in node.input if name in shapes)
            longest = max(longest, math.prod(weight[1:]) + 1)
        for attribute in node.attribute:
            if attribute.name == "kernel_shape":
                longest = max(longest, math.prod(attribute.ints))
    return longest


def _copied(model: ModelProto) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy


def _layer_values(layout: Layout) -> list[tuple[str, str]]:
    """Spikes and membrane of every layer in every timestep."""
    return [
        (layout.at(tensors.spikes, t), layout.at(tensors.membrane, t))
        for tensors in layout.layers.values()
        for t in range(layout.timesteps or 1)
    ]


def _untyped(names: Iterable[str], model: ModelProto) -> list[ValueInfoProto]:
    """Values of the model's precision whose shape is left to inference."""
    kind = model.graph.input[0].type.tensor_type.elem_type
    return [helper.make_tensor_value_info(name, kind, None) for name in dict.fromkeys(names)]
