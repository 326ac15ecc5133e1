"""A NIR graph on its way to a reader: flat, with its timestep, never modified in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal

import nir
import numpy as np

from mpo_snn.graph.connections import WRITTEN_OUT, move_to_graph, written_out_of
from mpo_snn.graph.inline import FlatGraph, inline
from mpo_snn.graph.kinds import ELEMENTWISE_ARRAYS, kind_of
from mpo_snn.graph.loops import walk
from mpo_snn.graph.ops import per_element
from mpo_snn.graph.shapes import infer_shapes

Shape = tuple[int, ...]
Edge = tuple[str, str]
Timing = Literal["next", "step"]
"""When a threshold is subtracted: in the step of the spike, or in the next."""


@dataclass(frozen=True)
class Flow:
    """What passes work on; each takes one and gives a new one.

    Attributes:
        nodes: by name; a spiking node keeps its name through every pass.
        edges: (source, target), in stored order.
        dt: timestep in seconds.
        folds: what was done, one line each.
        stands_for: when plain LIF and IF subtract the threshold, where they stand for a reset by
            subtraction (`subtraction`); None where they mean what NIR says.
    """

    nodes: dict[str, nir.NIRNode]
    edges: list[Edge]
    dt: float
    folds: tuple[str, ...] = ()
    stands_for: Timing | None = None

    @staticmethod
    def of(graph: nir.NIRGraph, dt: float) -> Flow:
        """The flow of a graph that `check_graph` accepts; subgraphs are dissolved.

        Neuron parameters with a single value are spread over the layer.
        """
        flat = inline(graph)
        flow = Flow(dict(flat.nodes), list(dict.fromkeys(flat.edges)), dt)
        spread = {name: _spread(node, flow.shapes.get(name)) for name, node in flow.nodes.items()}
        return replace(flow, nodes=spread)

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Shape of each node's output, without batch and time."""
        return infer_shapes(self.flat).outputs

    @cached_property
    def flat(self) -> FlatGraph:
        """The same as the simulator's flat graph."""
        kinds = {name: kind_of(node) for name, node in self.nodes.items()}
        ends = [[n for n, kind in kinds.items() if kind == end] for end in ("Input", "Output")]
        return FlatGraph(self.nodes, self.edges, *ends)

    @cached_property
    def back_edges(self) -> frozenset[Edge]:
        """Edges that close a loop, on the walk of `mpo_snn.graph.loops`."""
        names = [*self.flat.inputs, *self.nodes]
        return frozenset(walk(dict.fromkeys(names), self.edges).back_edges)

    def graph(self, metadata: Mapping[str, Any] | None = None) -> nir.NIRGraph:
        """The NIR graph, type-checked by `nir`; what `written_out` says is that of the nodes."""
        nodes = {name: self._fresh(name) for name in self.nodes}
        told = {key: value for key, value in (metadata or {}).items() if key != WRITTEN_OUT}
        graph = nir.NIRGraph(nodes=nodes, edges=list(self.edges), metadata=told)
        move_to_graph(graph)
        return graph

    def kind(self, name: str) -> str:
        """Kind of a node."""
        return kind_of(self.nodes[name])

    def named(self, *kinds: str) -> list[str]:
        """Names of the nodes of these kinds."""
        return [name for name, node in self.nodes.items() if kind_of(node) in kinds]

    def sources(self, name: str) -> list[str]:
        """Nodes that feed this one."""
        return [a for a, b in self.edges if b == name]

    def targets(self, name: str) -> list[str]:
        """Nodes that this one feeds."""
        return [b for a, b in self.edges if a == name]

    def input_shape(self, name: str) -> Shape:
        """Shape of what arrives at a node."""
        sources = self.sources(name)
        return self.shapes[sources[0]] if sources else self.shapes[name]

    def free_name(self, wish: str) -> str:
        """A name that no node has, nor would have once readers replace dots by underscores."""
        taken = {name.replace(".", "_") for name in self.nodes}
        names = [wish, *(f"{wish}_{i}" for i in range(2, len(taken) + 3))]
        return next(name for name in names if name.replace(".", "_") not in taken)

    def with_node(self, name: str, node: nir.NIRNode) -> Flow:
        """The flow with another node under a name."""
        return replace(self, nodes={**self.nodes, name: node})

    def inserted(self, edge: Edge, wish: str, node: nir.NIRNode) -> Flow:
        """The flow with a node in the middle of an edge."""
        name = self.free_name(wish)
        edges: list[Edge] = []
        for old in self.edges:
            edges += [(old[0], name), (name, old[1])] if old == edge else [old]
        return replace(self, nodes={**self.nodes, name: node}, edges=edges)

    def without(self, name: str) -> Flow:
        """The flow without a node of one input: what it fed is fed by its source."""
        (source,) = self.sources(name)
        edges = [(source if a == name else a, b) for a, b in self.edges if (a, b) != (source, name)]
        return replace(self, nodes={n: x for n, x in self.nodes.items() if n != name}, edges=edges)

    def noting(self, *folds: str) -> Flow:
        """The flow with more lines on what was done."""
        return replace(self, folds=(*self.folds, *folds))

    def _fresh(self, name: str) -> nir.NIRNode:
        """The node without the types that `nir` inferred where it stood before."""
        node, shape = self.nodes[name], self.input_shape(name)
        match kind_of(node):
            case "Input":
                return nir.Input(input_type={"input": np.array(self.shapes[name])})
            case "Output":
                return nir.Output(output_type={"output": np.array(shape)})
            case "Flatten":
                return nir.Flatten({"input": np.array(shape)}, node.start_dim, node.end_dim)
            case "Conv1d":
                return with_fields(node, input_shape=shape[1])
            case "Conv2d":
                return with_fields(node, input_shape=shape[1:])
            case _:
                return with_fields(node)


def with_fields(node: nir.NIRNode, **changes: Any) -> nir.NIRNode:
    """A node of the same kind with some fields changed; of its metadata `written_out` stays."""
    own = {f.name: getattr(node, f.name) for f in fields(node) if f.init and f.name != "metadata"}
    own = {name: value for name, value in own.items() if name not in ("input_type", "output_type")}
    kept = type(node)(**{**own, **changes})
    kept.metadata.update(written_out_of(node))
    return kept


def _spread(node: nir.NIRNode, shape: Shape | None) -> nir.NIRNode:
    names = ELEMENTWISE_ARRAYS.get(kind_of(node))
    if names is None or shape is None:
        return node
    return with_fields(node, **{n: per_element(getattr(node, n), shape).copy() for n in names})
