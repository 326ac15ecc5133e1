"""Runs models as a user would, without this project's own runner."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

Run = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


def in_onnxruntime(model: onnx.ModelProto) -> Run:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [value.name for value in session.get_outputs()]
    return lambda feeds: dict(zip(names, session.run(names, feeds), strict=True))


def in_reference(model: onnx.ModelProto) -> Run:
    evaluator = ReferenceEvaluator(model)
    return lambda feeds: dict(zip(evaluator.output_names, evaluator.run(None, feeds), strict=True))


def all_steps(model: onnx.ModelProto, run: Run, inputs: np.ndarray) -> np.ndarray:
    """Outputs of a model of one timestep; states by the names and shapes that the file shows."""
    states = {}
    for value in model.graph.input:
        if value.name != "input":
            sizes = [size.dim_value for size in value.type.tensor_type.shape.dim]
            states[value.name] = np.zeros([inputs.shape[1], *sizes[1:]], inputs.dtype)
    outputs = []
    for x in inputs:
        given = run({"input": x, **states})
        outputs.append(given["output"])
        states = {name: given[f"{name}.next"] for name in states}
    return np.stack(outputs)
