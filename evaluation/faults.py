r"""Faults of hardware and noise on the input, as functions of (graph or spikes, level, seed) alone.

=================  ==========================================================================
kind               level x
=================  ==========================================================================
gaussian           noise on the input, sigma as a share of its range (`mpo_snn.data.corruptions`)
salt_and_pepper    share of the input's pixels that are set to its lowest or highest value
weight_bits        share of the bits of 8-bit weights that are flipped; 0 is quantisation alone
threshold_jitter   every threshold times 1 + x n, n from N(0, 1), the factor never below 0
dead_neurons       share of the neurons that never fire
dropped_spikes     share of the spikes that never arrive anywhere
clock_jitter       share of the spikes that arrive one timestep late; in the last one, never
=================  ==========================================================================

Weights are held as two's complement, :math:`w = q \cdot \max|W| / 127` with one scale a node.
A threshold is one of each neuron, also where the file states one for all. What a reset by
subtraction takes off is multiplied as its threshold is, in the one node of a chip and in NIR's
several (`mpo_snn.graph.resets`). Faults are drawn once a seed for weights, thresholds and neurons,
as they are burnt into a chip, and anew for every spike of every sample, several in a step included.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import nir
import numpy as np
import torch
from torch import Tensor

from mpo_snn.graph.inline import inline
from mpo_snn.graph.kinds import is_spiking
from mpo_snn.graph.ops import per_element
from mpo_snn.graph.resets import own_resets
from mpo_snn.graph.shapes import infer_shapes
from mpo_snn.training.randomness import derived_seed, draws_by_sample

GraphFault = Literal["weight_bits", "threshold_jitter", "dead_neurons"]
SpikeFault = Literal["dropped_spikes", "clock_jitter"]
InputFault = Literal["gaussian", "salt_and_pepper"]
GRAPH_FAULTS: tuple[GraphFault, ...] = get_args(GraphFault)
SPIKE_FAULTS: tuple[SpikeFault, ...] = get_args(SpikeFault)
INPUT_FAULTS: tuple[InputFault, ...] = get_args(InputFault)
WEIGHT_BITS = 8
NEVER = 1e30
"""Threshold, in volt, of a neuron that never fires."""


def faulty_graph(graph: nir.NIRGraph, kind: GraphFault, level: float, seed: int) -> nir.NIRGraph:
    """A copy of the graph with faults in it.

    Args:
        graph: is not changed.
        kind: which fault.
        level: see the table at the top.
        seed: of the fault.
    """
    faulty: nir.NIRGraph = _copied(graph)
    flat = inline(faulty)
    shapes = infer_shapes(flat).outputs
    factors: dict[str, np.ndarray] = {}
    for name, node in flat.nodes.items():
        generator = np.random.default_rng(derived_seed(seed, f"{kind}/{level:g}/{name}"))
        if kind == "weight_bits":
            if hasattr(node, "weight"):
                node.weight = flip_bits(np.asarray(node.weight), level, generator)
        elif is_spiking(node):
            stated = "threshold" if hasattr(node, "threshold") else "v_threshold"
            threshold = per_element(getattr(node, stated), shapes[name])
            if kind == "dead_neurons":
                dead = generator.random(threshold.shape) < level
                setattr(node, stated, np.where(dead, NEVER, threshold))
            else:
                normal = generator.standard_normal(threshold.shape)
                factors[name] = np.maximum(1.0 + level * normal, 0.0)
                setattr(node, stated, threshold * factors[name])
    for scale, name in own_resets(flat).items():
        if name in factors:
            node = flat.nodes[scale]
            node.scale = per_element(node.scale, shapes[scale]) * factors[name]
    return faulty


def flip_bits(weight: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Weights after a share of the bits of their 8-bit form has been flipped.

    Args:
        weight: any shape.
        share: of all bits, in [0, 1].
        generator: chooses them.
    """
    scale = np.abs(weight).max() / 127.0
    if scale == 0.0:
        return weight
    stored = np.rint(weight / scale).astype(np.int8).view(np.uint8)
    flips = generator.random((*stored.shape, WEIGHT_BITS)) < share
    mask = np.packbits(flips, axis=-1)[..., 0]
    flipped: np.ndarray = (stored ^ mask).view(np.int8).astype(np.float64) * scale
    return flipped


def _copied(node: Any) -> Any:
    """A copy of a node or graph in which no two nodes are one object, as in a file."""
    if not isinstance(node, nir.NIRGraph):
        return copy.deepcopy(node)
    graph = copy.copy(node)
    graph.nodes = {name: _copied(inner) for name, inner in node.nodes.items()}
    return graph


@dataclass
class FaultyWires:
    """What becomes of spikes on their way (`mpo_snn.graph.execute.Transmit`), for one batch.

    Args:
        kind: which fault.
        level: share of the spikes it befalls.
        seed: of the fault.
        first: index of the batch's first sample within the data set; any batch gives a sample the
            same fault.
    """

    kind: SpikeFault
    level: float
    seed: int
    first: int = 0
    _late: dict[str, Tensor] = field(default_factory=dict)

    def __call__(self, name: str, spikes: Tensor, start: int) -> Tensor:
        """Spikes as they arrive, of the shape of `spikes`, [T, B, *features]."""
        return torch.stack(
            [self._step(name, step, start + after) for after, step in enumerate(spikes)]
        )

    def _step(self, name: str, spikes: Tensor, timestep: int) -> Tensor:
        hit = torch.zeros_like(spikes)
        for nth in range(int(spikes.max())):  # of those that a neuron fires in the step
            place = f"{self.kind}/{self.level:g}/{name}/{nth}"
            seed = derived_seed(self.seed, place, timestep)
            draw = draws_by_sample(seed, self.first, spikes.shape)
            hit += (draw < self.level).to(spikes) * (spikes > nth)
        on_time = spikes - hit
        if self.kind == "dropped_spikes":
            return on_time
        late = self._late.get(name, torch.zeros_like(spikes))
        self._late[name] = hit
        return on_time + late
