"""Reads and writes ONNX files of this project: a whole model, or all that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError, EncodeError
from onnx import ModelProto, TensorProto, ValueInfoProto, numpy_helper

from mpo_snn.errors import ExportError, GraphError
from mpo_snn.files import write_file
from mpo_snn.graph.metadata import GraphMetadata

from .layout import Layout, read_properties

_LARGEST = 2**31 - 1
"""Bytes that protobuf takes in one message."""
_PRECISION = {TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64"}

Shape = tuple[int, ...]


@dataclass(frozen=True)
class OnnxFile:
    """A model that fits its own layout.

    Attributes:
        model: the model.
        layout: how it is driven.
        metadata: what else it says, if anything.
        precision: float32 or float64.
        input_shape: of one sample in one timestep.
        shapes: spiking layer or state -> its shape, without batch.
    """

    model: ModelProto
    layout: Layout
    metadata: GraphMetadata | None
    precision: str
    input_shape: Shape
    shapes: dict[str, Shape]


def write_onnx(path: str | Path, model: ModelProto) -> None:
    """Write a model as a whole or not at all.

    Raises:
        ExportError: if it is larger than the format allows.
        OutputError: if the disk refuses.
    """
    write_file(path, onnx_bytes(model))


def onnx_bytes(model: ModelProto) -> bytes:
    """The content of the file, checked as `check_onnx` does; the same model gives the same bytes.

    Raises:
        ExportError: if it is larger than the format allows.
        GraphError: if ONNX's own checker refuses it.
    """
    size = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    try:
        if size > _LARGEST:
            raise EncodeError
        content: bytes = model.SerializeToString(deterministic=True)
    except (EncodeError, ValueError) as error:
        raise ExportError(
            f"cannot write the model as ONNX: its parameters take {size / 2**30:.1f} GiB and one"
            " file holds 2; use float32, or fewer channels."
        ) from error
    check_onnx(model)
    return content


def read_onnx(path: str | Path) -> OnnxFile:
    """Read a file that mpo-export wrote.

    Raises:
        GraphError: if the file cannot be read, is no valid ONNX, or not a model of this project;
            with all findings.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise GraphError(f"cannot read '{path}': {error.strerror}.") from error
    model = ModelProto()
    try:
        model.ParseFromString(content)
    except (DecodeError, RuntimeError) as error:
        raise GraphError(f"cannot read '{path}': it is no ONNX model, or damaged.") from error
    try:
        return open_onnx(model)
    except GraphError as error:
        findings = error.findings or (str(error),)
        raise GraphError(f"cannot read '{path}'", findings) from error


def open_onnx(model: ModelProto) -> OnnxFile:
    """Check a model against ONNX's rules and against its own layout.

    Raises:
        GraphError: with all findings.
    """
    if not model.graph.node:
        raise GraphError("it is no ONNX model, or an empty one.")
    outside = [t.name for t in model.graph.initializer if t.data_location == TensorProto.EXTERNAL]
    if outside:
        raise GraphError(
            f"parameter '{outside[0]}' is kept in another file, which is not read; save the model"
            " in one file."
        )
    inferred = check_onnx(model)
    layout, metadata = read_properties(model)
    findings = [*_missing(model, layout), *_values_out_of_range(model)]
    if findings:
        raise GraphError("the model does not fit its layout", findings)
    return _fitted(model, layout, metadata, inferred)


def check_onnx(model: ModelProto) -> ModelProto:
    """Run ONNX's own checker with full shape inference; returns the model with all shapes.

    Raises:
        GraphError: in one line, with its first complaint.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
        return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise GraphError(f"onnx.checker refuses it: {reason[:300]}") from error


def _missing(model: ModelProto, layout: Layout) -> list[str]:
    """What the layout names and the model lacks, and the other way round."""
    graph = model.graph
    parameters = {tensor.name for tensor in graph.initializer}
    values = {name for node in graph.node for name in node.output}
    casts = {node.output[0] for node in graph.node if node.op_type == "Cast"}
    result = "output" if layout.timesteps is None else "scores"
    findings = []
    for kind, found, expected in (
        ("inputs", [v.name for v in graph.input], ["input", *layout.states]),
        ("outputs", [v.name for v in graph.output], [result, *layout.states.values()]),
    ):
        if sorted(found) != sorted(expected):
            findings.append(
                f"its {kind} are {', '.join(found)}; the layout says {', '.join(expected)}"
            )
    for layer, tensors in layout.layers.items():
        if tensors.threshold not in parameters:
            findings.append(f"layer '{layer}' has no parameter '{tensors.threshold}'")
        for t in range(layout.timesteps or 1):
            lost = [n for n in (layout.at(tensors.membrane, t),) if n not in values]
            lost += [n for n in (layout.at(tensors.spikes, t),) if n not in casts]
            findings += [f"layer '{layer}' has no value '{name}'" for name in lost]
            if lost:
                break
    return findings


def _values_out_of_range(model: ModelProto) -> list[str]:
    findings = []
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            findings.append(f"'{tensor.name}' holds values that are NaN or infinite")
    return findings


def _fitted(
    model: ModelProto, layout: Layout, metadata: GraphMetadata | None, inferred: ModelProto
) -> OnnxFile:
    values = {v.name: v for v in (*inferred.graph.value_info, *inferred.graph.input)}
    values.update({v.name: v for v in inferred.graph.output})
    source = values["input"]
    sample = 2 if layout.timesteps is not None and not layout.is_constant else 1
    names = {"input": ("input", sample)}
    names |= {layer: (layout.at(x.membrane, 0), 1) for layer, x in layout.layers.items()}
    names |= {state: (state, 1) for state in layout.states}
    shapes = {name: _shape(values.get(value), skip) for name, (value, skip) in names.items()}
    precision = _PRECISION.get(source.type.tensor_type.elem_type)
    findings = [
        f"the shape of '{name}' behind its batch cannot be told, or is not fixed"
        for name, shape in shapes.items()
        if shape is None
    ]
    thresholds = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for layer, tensors in layout.layers.items():
        shape, spikes = shapes[layer], _shape(values.get(layout.at(tensors.spikes, 0)), 1)
        if shape is not None and spikes != shape:
            findings.append(f"layer '{layer}' has spikes of shape {spikes}, membranes of {shape}")
        elif shape is not None and not _fits(thresholds[tensors.threshold], shape):
            found = thresholds[tensors.threshold]
            findings.append(f"layer '{layer}' of shape {shape} has a threshold of shape {found}")
    if precision is None:
        findings.append("its input is neither float32 nor float64")
    if sample == 2 and source.type.tensor_type.shape.dim[0].dim_value != layout.timesteps:
        findings.append(f"its input has another number of timesteps than {layout.timesteps}")
    if findings or precision is None:
        raise GraphError("the model does not fit its layout", findings)
    known = {name: shape for name, shape in shapes.items() if shape is not None}
    return OnnxFile(model, layout, metadata, precision, known.pop("input"), known)


def _shape(value: ValueInfoProto | None, skip: int) -> Shape | None:
    """The fixed sizes behind the first axes, None where one is free or the value is unknown."""
    if value is None or not value.type.tensor_type.HasField("shape"):
        return None
    sizes = value.type.tensor_type.shape.dim
    if len(sizes) < skip or any(size.dim_value < 1 for size in sizes[skip:]):
        return None
    return tuple(size.dim_value for size in sizes[skip:])


def _fits(parameter: Shape, shape: Shape) -> bool:
    """Whether a parameter broadcasts to a shape."""
    behind = shape[len(shape) - len(parameter) :]
    return len(parameter) <= len(shape) and all(
        a in (1, b) for a, b in zip(parameter, behind, strict=True)
    )
