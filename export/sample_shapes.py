"""The shapes that one sample takes on its way through a traced network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from mpo_snn.errors import ExportError

from .draft import Shape

_KEY = "shape of a sample"


def sample_shape(shape: Sequence[int] | int) -> Shape:
    """The shape of one sample, without batch and time; a number is that of one axis.

    Raises:
        ExportError: if it is no number or sequence of numbers above 0.
    """
    axes = (shape,) if isinstance(shape, int | np.integer) else shape
    is_shape = isinstance(axes, Sequence | np.ndarray | Tensor) and not isinstance(
        axes, str | bytes
    )
    if is_shape and all(is_count(size) for size in axes):
        return tuple(int(size) for size in axes)
    raise ExportError(
        f"cannot export: input_shape is {shape!r}, expected the shape of one sample without batch"
        " and time, such as (1, 28, 28)."
    )


def find_shapes(network: nn.Module, graph: fx.Graph, shape: Shape) -> None:
    """Run one sample of zeros through the graph and keep every shape for `shape_of`.

    Args:
        network: in float64, on the CPU.
        graph: of its timestep.
        shape: of one sample, without batch and time.

    Raises:
        ExportError: if the network does not run on it, with torch's reason.
    """
    states = [None for node in graph.nodes if node.op == "placeholder"][1:]
    run = _Run(fx.GraphModule(network, graph))
    try:
        with torch.no_grad():
            run.run(torch.zeros(1, *shape, dtype=torch.float64), *states)
    except Exception as error:  # whatever a layer raises on a shape that does not fit
        reason = " ".join(str(error).split("\n", 1)[0].split()) or type(error).__name__
        at = f" (at '{run.at.target}')" if run.at is not None else ""
        raise ExportError(
            f"cannot export: the network does not run on one sample of shape {shape}: {reason}{at}"
        ) from error


def shape_of(node: fx.Node) -> Shape:
    """Shape of what a node gave for one sample, of its first tensor where it gave several."""
    found: Shape = node.meta[_KEY]
    return found


def is_count(value: Any) -> bool:
    """Whether it is a whole number above 0."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) > 0


class _Run(fx.Interpreter):
    """Keeps the shapes, and where it stopped."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.extra_traceback = False
        self.at: fx.Node | None = None

    def run_node(self, n: fx.Node) -> Any:
        self.at = n
        result = super().run_node(n)
        first = result
        while isinstance(first, tuple | list) and first:
            first = first[0]
        if isinstance(first, Tensor):
            n.meta[_KEY] = tuple(first.shape[1:])
        return result
