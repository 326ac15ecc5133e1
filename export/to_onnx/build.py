"""Builds the ONNX model of a NIR graph: one timestep, or all of them in a row.

One timestep takes `input` and every state, and gives `output` and every next state. All timesteps
in a row share their parameters, start at rest and give `scores`, by the read-out; what does not
depend on time is there once. Every batch axis is free. The same graph gives the same bytes.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import onnx
from onnx import ValueInfoProto, helper

from mpo_snn.errors import ExportError, GraphError
from mpo_snn.graph.check import check_graph
from mpo_snn.graph.metadata import GraphMetadata, refuse_beyond_nir
from mpo_snn.readout import READOUTS

from .layout import LayerTensors, Layout, write_properties
from .neurons import Shape
from .timestep import Timestep, Values
from .writer import Writer

OPSET = 17
IR_VERSION = 8
"""Both of 2022, so that runtimes of the last years load the file."""
PRECISIONS = ("float32", "float64")
BATCH = "batch"


def build_onnx(
    graph: nir.NIRGraph,
    dt: float,
    spiking: dict[str, str] | None = None,
    *,
    timesteps: int | None = None,
    encoding: str = "direct",
    readout: str = "mean",
    precision: str = "float32",
    metadata: GraphMetadata | None = None,
) -> onnx.ModelProto:
    """Build the model.

    Args:
        graph: any NIR graph that can be simulated; it is not changed.
        dt: timestep in seconds.
        spiking: layer name -> node that spikes; None takes the nodes' own names.
        timesteps: how many timesteps in a row; None gives one timestep with states.
        encoding: of the samples; with "direct", a model over all timesteps takes one sample.
        readout: by which a model over all timesteps gives scores.
        precision: of all values, float32 or float64.
        metadata: what else the file says.

    Raises:
        GraphError: if the graph makes no sense, or does not fit dt.
        ExportError: if an argument is unknown, or a value does not fit the precision.
    """
    if precision not in PRECISIONS:
        raise ExportError(
            f"unknown precision '{precision}': choose one of {', '.join(PRECISIONS)}."
        )
    if readout not in READOUTS:
        raise ExportError(f"unknown readout '{readout}': choose one of {', '.join(READOUTS)}.")
    if timesteps is not None and timesteps < 1:
        raise ExportError(f"cannot unroll over {timesteps} timesteps, allowed is 1 or more.")
    check_graph(graph, dt)
    refuse_beyond_nir(graph, "cannot build an ONNX model of the graph")
    timestep, writer = Timestep(graph, dt), Writer(np.dtype(precision))
    if spiking is None:
        spiking = {name: name for name in timestep.spiking}
    if timesteps is None:
        inputs, outputs, states, steps = _one_step(timestep, writer)
    else:
        is_constant = encoding == "direct"
        inputs, outputs, steps = _all_steps(timestep, writer, timesteps, is_constant, readout)
        states = {}
    layout = Layout(
        timesteps,
        timesteps is not None and encoding == "direct",
        states,
        {layer: _tensors(node, steps, timesteps) for layer, node in spiking.items()},
    )
    body = helper.make_graph(
        writer.nodes, "mpo_snn", inputs, outputs, list(writer.parameters.values())
    )
    model = helper.make_model(
        body,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="mpo-snn",
    )
    write_properties(model, layout, metadata)
    return model


def _one_step(
    timestep: Timestep, writer: Writer
) -> tuple[list[ValueInfoProto], list[ValueInfoProto], dict[str, str], list[Values]]:
    x = writer.name("input")
    output = writer.name("output")
    taken = {state: writer.name(state) for state in timestep.states}
    given = {state: writer.name(f"{state}.next") for state in timestep.states}
    step = timestep.write(writer, x, taken)
    _give(writer, step.output, output)
    for state, name in given.items():
        _give(writer, step.states[state], name)
    inputs = [_value(writer, x, timestep.input_shape)]
    outputs = [_value(writer, output, timestep.output_shape)]
    for state, shape in timestep.states.items():
        inputs.append(_value(writer, taken[state], shape))
        outputs.append(_value(writer, given[state], shape))
    return inputs, outputs, {taken[s]: given[s] for s in timestep.states}, [step]


def _all_steps(
    timestep: Timestep, writer: Writer, timesteps: int, is_constant: bool, readout: str
) -> tuple[list[ValueInfoProto], list[ValueInfoProto], list[Values]]:
    x, scores = writer.name("input"), writer.name("scores")
    leading = () if is_constant else (timesteps,)
    states: dict[str, str | None] = dict.fromkeys(timestep.states)
    for state in timestep.kept:
        axis = 0 if is_constant else 1
        states[state] = _zeros(writer, x, axis, f"{state}@start", timestep.states[state])
    known: dict[str, str] = {}
    steps: list[Values] = []
    outputs = []
    for t in range(timesteps):
        now = x
        if not is_constant:
            now = writer.node("Gather", [x, writer.integers(f"step {t}", t)], f"input@{t}", axis=0)
        step = timestep.write(writer, now, states, f"@{t}", known)
        outputs.append(_give(writer, step.output, f"output@{t}"))
        states, steps = dict(step.states), [*steps, step]
        if is_constant:
            known = {name: step.values[name] for name in timestep.timeless()}
    _read_out(writer, outputs, readout, scores)
    inputs = [_value(writer, x, timestep.input_shape, leading)]
    return inputs, [_value(writer, scores, timestep.output_shape)], steps


def _give(writer: Writer, value: str, name: str) -> str:
    """Make a value known under a name that was reserved for it, or that is free."""
    writer.nodes.append(helper.make_node("Identity", [value], [name], name=name))
    return name


def _read_out(writer: Writer, outputs: list[str], readout: str, scores: str) -> None:
    """As `mpo_snn.readout` does."""
    if readout == "last":
        _give(writer, outputs[-1], scores)
        return
    total = writer.node("Sum", outputs, "total")
    if readout == "mean":
        count = writer.parameter("timesteps", len(outputs))
        total = writer.node("Div", [total, count], "mean")
    _give(writer, total, scores)


def _zeros(writer: Writer, x: str, axis: int, name: str, shape: Shape) -> str:
    """A state at rest, as many as there are samples in x."""
    size = writer.node("Shape", [x], f"{name}.batch", start=axis, end=axis + 1)
    rest = writer.integers(f"{name}.features", shape)
    sizes = writer.node("Concat", [size, rest], f"{name}.sizes", axis=0)
    zero = onnx.numpy_helper.from_array(np.zeros(1, writer.dtype))
    return writer.node("ConstantOfShape", [sizes], name, value=zero)


def _value(writer: Writer, name: str, shape: Shape, leading: Shape = ()) -> ValueInfoProto:
    sizes: list[Any] = [*leading, BATCH, *shape]
    return helper.make_tensor_value_info(name, writer.element_type, sizes)


def _tensors(node: str, steps: list[Values], timesteps: int | None) -> LayerTensors:
    if node not in steps[0].spikes:
        raise GraphError(f"node '{node}' does not spike; {', '.join(steps[0].spikes)} do.")
    names = []
    for values in ([s.spikes[node] for s in steps], [s.membranes[node] for s in steps]):
        bases = {v.removesuffix("" if timesteps is None else f"@{t}") for t, v in enumerate(values)}
        if len(bases) > 1:
            raise GraphError(f"cannot name the values of '{node}' as ONNX: rename it, such as n1.")
        names.append(bases.pop())
    spikes, membrane = names
    return LayerTensors(spikes, membrane, f"{node}.threshold")
