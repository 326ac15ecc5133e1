"""Whether two ONNX models have the same form, and in which parameters they differ.

Spikes only show what the data reaches, so parameters are compared as well (`export.parameters`).
Values may differ by what rounding once to the model's precision explains.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from mpo_snn.export.parameters import RELATIVE_TOLERANCE, values_beyond


def have_same_form(expected: ModelProto, found: ModelProto) -> bool:
    """Whether both have the same operators with the same names, inputs, outputs and shapes."""
    return _form(expected) == _form(found)


def parameter_differences(expected: ModelProto, found: ModelProto) -> list[str]:
    """One line for every parameter that differs by more than rounding.

    Args:
        expected: model as the network exports.
        found: model of the same form (`have_same_form`).
    """
    values = {tensor.name: tensor for tensor in found.graph.initializer}
    lines = [_difference(tensor, values[tensor.name]) for tensor in expected.graph.initializer]
    return [line for line in lines if line]


def _form(model: ModelProto) -> bytes:
    """The model without its metadata and the values of its parameters."""
    bare = ModelProto()
    bare.CopyFrom(model)
    del bare.metadata_props[:]
    bare.producer_version = bare.doc_string = bare.graph.doc_string = ""
    for tensor in bare.graph.initializer:
        tensor.CopyFrom(TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type))
    content: bytes = bare.SerializeToString(deterministic=True)
    return content


def _difference(expected: TensorProto, found: TensorProto) -> str:
    a, b = numpy_helper.to_array(expected), numpy_helper.to_array(found)
    if a.dtype.kind != "f":
        return "" if np.array_equal(a, b) else f"'{expected.name}' is {b}, expected {a}."
    roundoff = float(np.finfo(a.dtype).eps)
    a, b = a.astype(np.float64), b.astype(np.float64)
    largest = float(np.abs(a).max(initial=0.0))
    what = values_beyond(a, b, roundoff * np.abs(a) + RELATIVE_TOLERANCE * largest)
    return f"'{expected.name}' {what}" if what else ""
