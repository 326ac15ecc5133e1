r"""How far rounding alone can move a membrane or an output: the a-priori bound of its sums.

A sum of :math:`n` products computed in any order is off by at most
:math:`\gamma_n \sum |w_i x_i|`, with :math:`\gamma_n = n u / (1 - n u)` and u the unit roundoff
(Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1). Running the layer with
absolute weights on absolute inputs, without reset, gives that sum for every neuron and step, leaky
integration included. What nodes of chips subtract within the step (`mpo_snn.multi_spike`) is at
most that sum once more.
"""

from __future__ import annotations

import copy

import nir
import numpy as np
import torch
from torch import Tensor

from mpo_snn.graph.metadata import behaviour_of
from mpo_snn.graph.simulate import Simulation, Simulator

from .recording import Recording
from .sources import GraphSource

NEVER = 1e300
"""A threshold in volt that no membrane reaches."""


def membrane_bounds(
    source: GraphSource, x: Tensor, reference: Recording, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Bound in volt on the rounding of each membrane in layer replay, (time, batch, *features).

    Args:
        source: the graph that is replayed.
        x: encoded input, (time, batch, *features).
        reference: spikes that every layer is fed with.
        dtype: precision whose rounding is bounded.
    """
    sums, gamma = _sums(source, x, reference, dtype)
    return {
        layer: (gamma * sums.v[node] * source.unit(layer)).reshape(reference.v[layer].shape)
        for layer, node in source.spiking.items()
    }


def output_bounds(
    source: GraphSource, x: Tensor, reference: Recording, dtype: torch.dtype
) -> Tensor:
    """Bound on the rounding of each output in layer replay, (time, batch, *outputs).

    Arguments as for `membrane_bounds`.
    """
    sums, gamma = _sums(source, x, reference, dtype)
    return (gamma * sums.output).reshape(reference.output.shape)


def _sums(
    source: GraphSource, x: Tensor, reference: Recording, dtype: torch.dtype
) -> tuple[Simulation, float]:
    """The sums of absolute values, and gamma of the longest of them."""
    simulator = Simulator(_absolute(source.graph), source.dt, dtype=torch.float64)
    forced = source.forced(reference)
    sums = simulator.run(x.double().abs(), record="membrane", forced=forced)
    terms = _longest_sum(source.graph) + 8 * x.shape[0]
    roundoff = torch.finfo(dtype).eps / 2 * (2 if behaviour_of(source.graph) else 1)
    return sums, terms * roundoff / (1.0 - terms * roundoff)


def _absolute(graph: nir.NIRGraph) -> nir.NIRGraph:
    nodes = {}
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph):
            nodes[name] = _absolute(node)
            continue
        node = copy.deepcopy(node)
        for field in ("weight", "bias", "scale", "r", "w_in", "v_leak"):
            if hasattr(node, field):
                setattr(node, field, np.abs(getattr(node, field)))
        for field in ("v_threshold", "threshold"):
            if hasattr(node, field):
                setattr(node, field, np.full_like(getattr(node, field), NEVER, dtype=np.float64))
        nodes[name] = node
    return nir.NIRGraph(nodes=nodes, edges=list(graph.edges), type_check=False)


def _longest_sum(graph: nir.NIRGraph) -> int:
    """Terms of the longest sum in the graph: fan-in of a weight, window of a pool."""
    longest = 1
    for node in graph.nodes.values():
        if isinstance(node, nir.NIRGraph):
            longest = max(longest, _longest_sum(node))
        elif hasattr(node, "weight"):
            longest = max(longest, int(np.prod(node.weight.shape[1:])) + 1)
        elif hasattr(node, "kernel_size"):
            longest = max(longest, int(np.prod(node.kernel_size)))
    return longest
