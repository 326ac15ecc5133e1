"""Collects the nodes, parameters and names of an ONNX graph while it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from mpo_snn.errors import ExportError

Array = NDArray[np.float64]


class Writer:
    """The parts of a graph in the order in which they are written.

    Args:
        dtype: precision of all parameters and values, float32 or float64.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        """Start an empty graph."""
        self.dtype = dtype
        self.nodes: list[NodeProto] = []
        self.parameters: dict[str, TensorProto] = {}
        self._taken: set[str] = set()

    @property
    def element_type(self) -> int:
        """The precision as ONNX numbers it."""
        return int(helper.np_dtype_to_tensor_dtype(self.dtype))

    def name(self, wanted: str) -> str:
        """A name for a new value: the wanted one, with a prime for each that has it already."""
        while wanted in self._taken or wanted in self.parameters:
            wanted += "'"
        self._taken.add(wanted)
        return wanted

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node of one output, called after it; returns the name of the output."""
        output = self.name(output)
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def parameter(self, name: str, value: Any, *, compact: bool = False) -> str:
        """Add a parameter once, rounded once from float64; returns its name.

        Args:
            name: its own name: the same one always stands for the same value.
            value: any array or number.
            compact: whether axes along which all values are the same may shrink to length 1, which
                broadcasting undoes.

        Raises:
            ExportError: if a value is beyond the range of the precision.
        """
        if name not in self.parameters:
            array = np.asarray(value, dtype=np.float64)
            with np.errstate(over="ignore"):
                stored = np.array(_compact(array) if compact else array, self.dtype, order="C")
            if not np.isfinite(stored).all():
                raise ExportError(
                    f"cannot write '{name}' in {self.dtype}: its values reach"
                    f" {np.abs(array).max():.3g}, which {self.dtype} cannot hold; use float64."
                )
            self.parameters[name] = numpy_helper.from_array(stored, name)
        return name

    def integers(self, name: str, values: Any) -> str:
        """Add an int64 parameter once; returns its name."""
        if name not in self.parameters:
            self.parameters[name] = numpy_helper.from_array(np.array(values, np.int64), name)
        return name


@dataclass(frozen=True)
class Scope:
    """Where one evaluation of a node writes: names follow from the node's and the timestep.

    Args:
        writer: takes it.
        node: in front of the names of parameters, `node.field`.
        label: in front of the names of values, `label.part`.
        suffix: behind the names of values.
    """

    writer: Writer
    node: str
    label: str
    suffix: str

    def write(self, kind: str, inputs: Sequence[str], part: str = "", **attributes: Any) -> str:
        """Add an operator; its value is called after the part, the node's own after the label."""
        name = f"{self.label}.{part}" if part else self.label
        return self.writer.node(kind, inputs, name + self.suffix, **attributes)

    def parameter(self, field: str, value: Any, *, compact: bool = True) -> str:
        """See `Writer.parameter`."""
        return self.writer.parameter(f"{self.node}.{field}", value, compact=compact)

    def integers(self, field: str, values: Any) -> str:
        """See `Writer.integers`."""
        return self.writer.integers(f"{self.node}.{field}", values)

    def spikes(self, v: str, threshold: Any) -> tuple[str, str]:
        """Whether v is above threshold, as truth values and as numbers 0 and 1."""
        fired = self.write("Greater", [v, self.parameter("threshold", threshold)], "fired")
        return fired, self.write("Cast", [fired], "spikes", to=self.writer.element_type)


def _compact(array: Array) -> Array:
    for axis in range(array.ndim):
        first = array.take([0], axis)
        if (array == first).all():
            array = first
    return array.reshape(()) if array.size == 1 else array
