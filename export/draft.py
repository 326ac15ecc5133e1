"""A network on its way to NIR: its layers as plain float64 arrays, between which edges add up.

A draft is what the passes work on. A pass takes a draft and gives a new one that fires the same
spikes; it says in `folds` what it did. Nodes know the shape of their output, (*features,).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mpo_snn.lif import InputGain, Reset, ResetTiming

Array = NDArray[np.float64]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """Anything in a draft; `shape` is that of its output, without batch and time."""

    shape: Shape


@dataclass(frozen=True)
class Input(Node):
    """Where samples come in."""


@dataclass(frozen=True)
class Output(Node):
    """Where logits, spikes or membranes go out."""


@dataclass(frozen=True)
class Dense(Node):
    """y = W x + b, W (out, in)."""

    weight: Array
    bias: Array | None


@dataclass(frozen=True)
class Convolution(Node):
    """A convolution over one or two axes, W (out, in / groups, *kernel); one value per axis.

    Where W holds a smaller layer between zeros, `layer` is that one's groups and kernel.
    """

    weight: Array
    bias: Array | None
    input_shape: Shape
    stride: Shape
    padding: Shape
    dilation: Shape
    groups: int
    layer: Shape | None = None


@dataclass(frozen=True)
class BatchNorm(Node):
    """y = scale x + shift per channel, as in eval mode; `bias` is batchnorm's own beta."""

    scale: Array
    shift: Array


@dataclass(frozen=True)
class AveragePool(Node):
    """Mean over windows; padding counts as zeros."""

    kernel: Shape
    stride: Shape
    padding: Shape


@dataclass(frozen=True)
class SumPool(Node):
    """Sum over windows; padding counts as zeros."""

    kernel: Shape
    stride: Shape
    padding: Shape


@dataclass(frozen=True)
class Flatten(Node):
    """Features from axis `start` to axis `end` in one axis; -1 is the last."""

    input_shape: Shape
    start: int = 0
    end: int = -1


@dataclass(frozen=True)
class Addition(Node):
    """Sum of its inputs; a repeated input counts as often as it is listed."""

    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Multiplication(Node):
    """y = factor x, one number or one per feature."""

    factor: float | Array


@dataclass(frozen=True)
class Identity(Node):
    """Does nothing in eval mode: dropout, identity."""


@dataclass(frozen=True)
class Neuron(Node):
    """A LIF layer (`mpo_snn.lif`): values are (), one per channel, (C,), or one per neuron.

    alpha is the leak of the synapse in front of the membrane (`mpo_snn.synapse`), if there is one.
    The units are what one volt here is called in NIR, where the layer came from there; they change
    how it is written and nothing that it does. Several spikes a step and a lowest membrane, in
    volt, are those of `mpo_snn.multi_spike`; NIR states neither. What others see of the layer is
    its spikes, or where the network is read out by it the membrane that a step returns.
    """

    beta: Array
    threshold: Array
    reset: Reset
    reset_timing: ResetTiming
    input_gain: InputGain
    alpha: Array | None = None
    membrane_unit: Array | None = None
    synapse_unit: Array | None = None
    most_spikes: int = 1
    lower: float | None = None
    gives: Literal["spikes", "membrane"] = "spikes"

    def expand(self, value: Array) -> Array:
        """A parameter at the full shape of the layer."""
        if value.size == 1:
            return np.full(self.shape, float(value.reshape(())))
        if value.shape == self.shape:
            return value
        column = value.reshape(-1, *[1] * (len(self.shape) - 1))
        return np.ascontiguousarray(np.broadcast_to(column, self.shape), dtype=np.float64)


@dataclass(frozen=True)
class Draft:
    """Nodes in the order in which they run, edges in the order in which they were read."""

    nodes: dict[str, Node]
    edges: list[tuple[str, str]]
    folds: tuple[str, ...] = field(default=())

    def sources(self, name: str) -> list[str]:
        """Nodes that feed this one."""
        return [a for a, b in self.edges if b == name]

    def targets(self, name: str) -> list[str]:
        """Nodes that this one feeds."""
        return [b for a, b in self.edges if a == name]

    def with_changes(
        self,
        nodes: dict[str, Node],
        edges: list[tuple[str, str]] | None = None,
        folds: Sequence[str] = (),
    ) -> Draft:
        """A draft with other nodes and edges, and what was folded added to the record."""
        return replace(
            self,
            nodes=nodes,
            edges=self.edges if edges is None else edges,
            folds=(*self.folds, *folds),
        )

    def without(self, name: str) -> Draft:
        """The draft without a node of one input: what it fed is fed by its source."""
        (source,) = self.sources(name)
        edges = [(source if a == name else a, b) for a, b in self.edges if (a, b) != (source, name)]
        return self.with_changes({n: x for n, x in self.nodes.items() if n != name}, edges)
