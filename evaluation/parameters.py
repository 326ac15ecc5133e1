r"""Parameters: how many numbers a node stores, and how many bytes they take.

.. math:: \text{bytes} = 4 \cdot (\text{weights} + \text{biases} + \text{neuron constants})

The rule is that of `neurobench`'s footprint: every weight that is a connection
(`mpo_snn.graph.connections`), zeros included; biases, none where all of a node are zero; the
constants of neurons (leaks, thresholds, gains, delays) where they differ within a layer, as many
values as differ: one a channel if all neurons of a channel share it, none if the whole layer does.
4 bytes are those of float32, in which graphs are run here; files keep float64 for their proof, and
what integers take on a chip is in the report of its deployment. A Scale that carries a reset alone,
or takes the threshold off a membrane that is read, repeats the threshold and stores nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mpo_snn.graph.connections import count_connections
from mpo_snn.graph.edges import predecessors, successors
from mpo_snn.graph.kinds import ELEMENTWISE_ARRAYS, kind_of
from mpo_snn.graph.resets import reset_feedback

from .roles import SYNAPTIC

if TYPE_CHECKING:
    from mpo_snn.graph.inline import FlatGraph

BYTES = 4
"""Of one parameter in float32."""


@dataclass(frozen=True)
class Parameters:
    """Numbers that are stored.

    Attributes:
        weights: of synapses.
        biases: likewise.
        neuron_constants: of neurons, scales and delays.
    """

    weights: int = 0
    biases: int = 0
    neuron_constants: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.biases + self.neuron_constants

    @property
    def memory_bytes(self) -> int:
        """What they take in float32."""
        return BYTES * self.total

    def __add__(self, other: Parameters) -> Parameters:
        """Those of both."""
        return Parameters(
            self.weights + other.weights,
            self.biases + other.biases,
            self.neuron_constants + other.neuron_constants,
        )


def count_parameters(flat: FlatGraph) -> dict[str, Parameters]:
    """What each node of a graph stores (the rule at the top)."""
    repeated = reset_feedback(flat).keys() | _read_outs(flat)
    return {
        name: Parameters() if name in repeated else _stored(node)
        for name, node in flat.nodes.items()
    }


def report_parameters(stored: Parameters) -> dict[str, int]:
    """The keys of a report that say what is stored."""
    return {
        "weights": stored.weights,
        "biases": stored.biases,
        "neuron_constants": stored.neuron_constants,
        "parameters": stored.total,
        "memory_bytes": stored.memory_bytes,
    }


def sum_parameters(stored: Iterable[Parameters]) -> Parameters:
    """Those of several nodes together."""
    return sum(stored, Parameters())


def _stored(node: Any) -> Parameters:
    kind = kind_of(node)
    if kind in SYNAPTIC:
        bias = np.asarray(getattr(node, "bias", 0.0))
        return Parameters(count_connections(node), int(bias.size) if np.any(bias) else 0)
    arrays = (np.asarray(getattr(node, name)) for name in ELEMENTWISE_ARRAYS.get(kind, ()))
    return Parameters(neuron_constants=sum(map(_values_that_differ, arrays)))


def _read_outs(flat: FlatGraph) -> frozenset[str]:
    """Scale nodes of minus the threshold between a Threshold and the Output."""
    sources, targets = predecessors(flat.edges), successors(flat.edges)
    found = set()
    for name, node in flat.nodes.items():
        if kind_of(node) != "Scale" or targets[name] != flat.outputs or len(sources[name]) != 1:
            continue
        before = flat.nodes[sources[name][0]]
        if kind_of(before) == "Threshold" and np.array_equal(-node.scale, before.threshold):
            found.add(name)
    return frozenset(found)


def _values_that_differ(array: Any) -> int:
    """Values of an array without the axes along which it is the same; none if it is everywhere."""
    for axis in range(array.ndim):
        first = array.take([0], axis)
        array = first if np.array_equal(array, np.broadcast_to(first, array.shape)) else array
    return int(array.size) if array.size > 1 else 0
