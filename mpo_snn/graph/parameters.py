"""Whether the parameters of a single node make sense, whatever is around it."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpo_snn.errors import GraphError

from .geometry import convolution_window, pooling_window
from .kinds import ARRAYS, ELEMENTWISE_ARRAYS, TIME_CONSTANTS, kind_of
from .shapes import element_shape


def node_faults(name: str, node: Any) -> list[str]:
    """Return what is wrong with a node's own fields, one line each, with its name.

    These are: arrays that are missing, empty, not made of real numbers, NaN or infinite; time
    constants that are not positive, negative delays; weights, biases and neuron parameters of a
    wrong shape; strides, paddings and the like that are no allowed integers; malformed shapes.
    """
    kind = kind_of(node)
    where = f"{name!r} ({kind})"
    findings = [
        f"{field} of {where} {fault}"
        for field in ARRAYS.get(kind, ())
        for fault in _array_faults(kind, field, getattr(node, field, None))
    ]
    findings += [f"{fault} of {where}" for fault in declaration_faults(node)]
    if findings:
        return findings
    try:
        if kind in ELEMENTWISE_ARRAYS:
            element_shape(node)
        elif kind in ("Affine", "Linear"):
            _check_matrix(node)
        elif kind in ("Conv1d", "Conv2d"):
            convolution_window(node)
            _check_bias(node.bias, np.shape(node.weight)[:1])
        elif kind in ("AvgPool2d", "SumPool2d"):
            pooling_window(node)
    except GraphError as error:
        findings.append(f"{where} is malformed: {error}")
    return findings


def _array_faults(kind: str, field: str, value: Any) -> list[str]:
    if value is None:
        return ["is missing"]
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        return [f"has the type {array.dtype}, expected real numbers"]
    if array.size == 0:
        return [f"is empty, its shape is {array.shape}"]
    findings = []
    for number, count in (("NaN", np.isnan(array).sum()), ("infinite", np.isinf(array).sum())):
        if count:
            findings.append(f"has {count} {number} of {array.size} values, expected finite numbers")
    if field in TIME_CONSTANTS.get(kind, ()) and (array <= 0).any():
        findings.append(
            f"is {array.min():g} s in {(array <= 0).sum()} of {array.size} values, expected > 0 s"
        )
    if kind == "Delay" and (array < 0).any():
        findings.append(
            f"is {array.min():g} s in {(array < 0).sum()} of {array.size} values, expected >= 0 s"
        )
    return findings


def declaration_faults(node: Any) -> list[str]:
    """Return what is wrong with the shape that a node declares for its input."""
    if kind_of(node) in ("Input", "Output", "Flatten"):
        field, value = "shape", (node.input_type or {}).get("input")
    elif kind_of(node) in ("Conv1d", "Conv2d"):
        field, value = "input_shape", node.input_shape
    else:
        return []
    if value is None:
        return []
    array = np.asarray(value)
    is_whole = array.dtype.kind in "iuf" and bool((array == np.floor(array)).all())
    if array.ndim > 1 or not (array.size == 0 or (is_whole and (array >= 1).all())):
        return [f"{field} {array.tolist()!r}, which is no list of sizes >= 1,"]
    return []


def _check_matrix(node: Any) -> None:
    weight = np.shape(node.weight)
    if len(weight) < 2:
        raise GraphError(f"weight has shape {weight}, expected at least 2 axes: (..., out, in)")
    if kind_of(node) == "Affine":
        _check_bias(node.bias, weight[:-1])


def _check_bias(bias: Any, outputs: tuple[int, ...]) -> None:
    shape = np.shape(bias)
    if np.size(bias) != 1 and shape not in (outputs, outputs[-1:]):
        raise GraphError(f"bias has shape {shape}, expected {outputs}")
