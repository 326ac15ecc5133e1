"""Operations: what each synaptic node does per inference, counted exactly.

What a node's input is (see `roles`) decides what it costs:

========== ============================================================================== =======
input      count                                                                          kind
========== ============================================================================== =======
analog     every in-bounds use of a weight; once where the input is constant in time and  MAC
           nothing is computed anew, otherwise at each timestep
spikes     for every spike, the synapses that it drives                                   AC
graded     the same: each original spike with its fan-out through pools and sums          graded AC
========== ============================================================================== =======

SynOps are AC and graded AC together. A spike counts with its whole fan-out, also where the loop it
enters would act on it only after the last timestep. Weights that are exactly zero are left out of
AC (with them: `synops_dense`) and kept in MAC, which is what a dense machine does. A weight here is
a connection (`mpo_snn.graph.connections`).

Pooling spikes and adding them over skip connections are additions without a synapse; they are
counted apart (`Additions`) and are part of neither SynOps nor energy. Biases are not counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from mpo_snn.graph.connections import count_connections
from mpo_snn.graph.edges import predecessors
from mpo_snn.graph.kinds import NEURON_ARRAYS, kind_of

from .fanout import Shape, fan_out_of_sources, synaptic_fan_out, window_fan_out
from .roles import POOLING, SYNAPTIC, signal_edges

if TYPE_CHECKING:
    from mpo_snn.graph.inline import FlatGraph

    from .roles import Role, Roles


@dataclass(frozen=True)
class SynapseCount:
    """Operations of one synaptic node, summed over all inferences unless said otherwise.

    Attributes:
        name: the node.
        node_type: its kind in NIR.
        input_role: what its input is.
        sources: the spiking nodes that drive it; empty for analog input.
        weights: number of weights.
        zero_weights: how many of them are exactly zero.
        dense_mac: products in one dense evaluation, zero weights included, padding left out.
        constant_in_time: the input is the same at every timestep.
        mac_once: MACs per inference if what is constant in time is computed once.
        mac_every_step: MACs per inference if everything is computed at every timestep.
        synops: accumulates of all spikes, zero weights left out.
        synops_dense: the same with zero weights.
    """

    name: str
    node_type: str
    input_role: Role
    sources: tuple[str, ...]
    weights: int
    zero_weights: int
    dense_mac: int
    constant_in_time: bool
    mac_once: int
    mac_every_step: int
    synops: int
    synops_dense: int


@dataclass(frozen=True)
class Additions:
    """Additions of spikes that meet no synapse, at one node, summed over all inferences."""

    name: str
    kind: Literal["pooling", "skip"]
    count: int


@dataclass(frozen=True)
class Driven:
    """Synapses of one node that a spike of each neuron drives, by spiking node (`fanout`).

    Attributes:
        every: zero weights included.
        nonzero: zero weights left out; the same tensors where there are none.
    """

    every: Mapping[str, Tensor]
    nonzero: Mapping[str, Tensor]


def driven_synapses(
    flat: FlatGraph, roles: Roles, shapes: Mapping[str, Shape]
) -> dict[str, Driven]:
    """The fan-out of spikes at every synaptic node that they reach.

    Arguments and errors are those of `count_synapses`.
    """
    edges = predecessors(signal_edges(flat, roles.feedback))
    found = {}
    for name, node in flat.nodes.items():
        if kind_of(node) not in SYNAPTIC or roles.input[name] == "analog":
            continue
        shape = shapes[edges[name][0]]
        at_node = synaptic_fan_out(node, shape, "dense")
        every = nonzero = fan_out_of_sources(flat, roles, shapes, name, at_node)
        if np.count_nonzero(node.weight) < count_connections(node):
            at_node = synaptic_fan_out(node, shape, "nonzero")
            nonzero = fan_out_of_sources(flat, roles, shapes, name, at_node)
        found[name] = Driven(every, nonzero)
    return found


def count_synapses(
    flat: FlatGraph,
    roles: Roles,
    shapes: Mapping[str, Shape],
    spike_counts: Mapping[str, Tensor],
    timesteps: int,
    *,
    constant_input: bool,
    driven: Mapping[str, Driven] | None = None,
) -> list[SynapseCount]:
    """Count the operations of every synaptic node.

    Args:
        flat: the graph.
        roles: its roles.
        shapes: output shape of each node.
        spike_counts: for each spiking node, the spikes of each neuron summed over time and
            inferences, float64 of the node's shape.
        timesteps: of one inference.
        constant_input: the encoded input is the same at every timestep.
        driven: what `driven_synapses` gave, where it is known already.

    Raises:
        GraphError: if spikes go round for ever in a loop without a neuron.
    """
    edges = predecessors(signal_edges(flat, roles.feedback))
    if driven is None:
        driven = driven_synapses(flat, roles, shapes)
    counts = []
    for name, node in flat.nodes.items():
        if kind_of(node) not in SYNAPTIC:
            continue
        role = roles.input[name]
        shape = shapes[edges[name][0]]
        dense_mac = int(synaptic_fan_out(node, shape, "dense").sum())
        weights = count_connections(node)
        zero_weights = weights - int(np.count_nonzero(node.weight))
        synops = synops_dense = mac_once = mac_every_step = 0
        sources: tuple[str, ...] = ()
        constant = constant_input and name in roles.constant
        if role == "analog":
            mac_every_step = dense_mac * timesteps
            mac_once = dense_mac if constant else mac_every_step
        else:
            fan_out = driven[name]
            sources = tuple(fan_out.every)
            synops = synops_dense = _operations(fan_out.every, spike_counts)
            if zero_weights:
                synops = _operations(fan_out.nonzero, spike_counts)
        counts.append(
            SynapseCount(
                name=name,
                node_type=kind_of(node),
                input_role=role,
                sources=sources,
                weights=weights,
                zero_weights=zero_weights,
                dense_mac=dense_mac,
                constant_in_time=constant,
                mac_once=mac_once,
                mac_every_step=mac_every_step,
                synops=synops,
                synops_dense=synops_dense,
            )
        )
    return counts


def by_source(driven: Mapping[str, Driven], spiking: Sequence[str]) -> dict[str, dict[str, Tensor]]:
    """The fan-out of each spiking node's spikes, zero weights left out, by node that they reach.

    Nodes whose spikes reach none are left out.
    """
    found = {
        source: {
            name: reached.nonzero[source]
            for name, reached in driven.items()
            if source in reached.nonzero
        }
        for source in spiking
    }
    return {source: reached for source, reached in found.items() if reached}


def count_additions(
    flat: FlatGraph,
    roles: Roles,
    shapes: Mapping[str, Shape],
    spike_counts: Mapping[str, Tensor],
) -> list[Additions]:
    """Count the additions of spikes in pools, and where spikes enter neurons without a synapse.

    Arguments and errors are those of `count_synapses`.
    """
    edges = predecessors(signal_edges(flat, roles.feedback))
    found = []
    for name, node in flat.nodes.items():
        spiking_edges = [s for s in edges[name] if roles.output.get(s) in ("spikes", "graded")]
        if not spiking_edges:
            continue
        shape = shapes[spiking_edges[0]]
        kind: Literal["pooling", "skip"]
        if kind_of(node) in POOLING:
            kind, each = "pooling", window_fan_out(node, shape)
        elif kind_of(node) in NEURON_ARRAYS:
            kind, each = "skip", torch.ones(shape, dtype=torch.float64)
        else:
            continue
        fan_out = fan_out_of_sources(flat, roles, shapes, name, each)
        found.append(Additions(name, kind, _operations(fan_out, spike_counts)))
    return found


def _operations(fan_out: Mapping[str, Tensor], spike_counts: Mapping[str, Tensor]) -> int:
    """The sum of spikes times fan-out: whole numbers in float64, exact up to 2^53."""
    return sum(
        int((spike_counts[name].to("cpu", torch.float64) * each).sum())
        for name, each in fan_out.items()
    )
