r"""Faults of hardware and noise on the input, as functions of (graph or spikes, level, seed) alone.

=================  ==========================================================================
kind               level x
=================  ==========================================================================
gaussian           noise on the input, sigma as a share of its range (`mpo_snn.data.corruptions`)
salt_and_pepper    share of the input's pixels that are set to its lowest or highest value
weight_bits        share of the bits of 8-bit weights that are flipped; 0 is quantisation alone
threshold_jitter   every threshold times 1 + x n, n from N(0, 1), never below 0
dead_neurons       share of the neurons that never fire
dropped_spikes     share of the spikes that never arrive anywhere
clock_jitter       share of the spikes that arrive one timestep late; in the last one, never
=================  ==========================================================================

Weights are held as two's complement, :math:`w = q \cdot \max|W| / 127` with one scale a node.
Faults are drawn once a seed for weights, thresholds and neurons, as they are burnt into a chip,
and anew for every spike.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import nir
import numpy as np
import torch
from torch import Tensor

from mpo_snn.training.randomness import derived_seed

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
    faulty = copy.deepcopy(graph)
    for path, node in _nodes(faulty):
        generator = np.random.default_rng(derived_seed(seed, f"{kind}/{level:g}/{path}"))
        if kind == "weight_bits":
            if hasattr(node, "weight"):
                node.weight = flip_bits(np.asarray(node.weight), level, generator)
            continue
        for name in ("v_threshold", "threshold"):
            if hasattr(node, name):
                value = np.asarray(getattr(node, name), dtype=np.float64)
                setattr(node, name, _threshold(value, kind, level, generator))
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


def _threshold(
    value: np.ndarray, kind: GraphFault, level: float, generator: np.random.Generator
) -> np.ndarray:
    if kind == "dead_neurons":
        return np.where(generator.random(value.shape) < level, NEVER, value)
    return np.maximum(value * (1.0 + level * generator.standard_normal(value.shape)), 0.0)


def _nodes(graph: nir.NIRGraph, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph):
            yield from _nodes(node, f"{path}{name}.")
        else:
            yield f"{path}{name}", node


@dataclass
class FaultyWires:
    """What becomes of spikes on their way (`mpo_snn.graph.execute.Transmit`), for one batch.

    Args:
        kind: which fault.
        level: share of the spikes it befalls.
        seed: of the fault.
        index: of the batch within the data set.
    """

    kind: SpikeFault
    level: float
    seed: int
    index: int = 0
    _generators: dict[str, torch.Generator] = field(default_factory=dict)
    _late: dict[str, Tensor] = field(default_factory=dict)

    def __call__(self, name: str, spikes: Tensor, start: int) -> Tensor:
        """Spikes as they arrive, of the shape of `spikes`, [T, B, *features]."""
        return torch.stack([self._step(name, step) for step in spikes])

    def _step(self, name: str, spikes: Tensor) -> Tensor:
        if name not in self._generators:
            place = f"{self.kind}/{self.level:g}/{name}"
            seed = derived_seed(self.seed, place, self.index)
            self._generators[name] = torch.Generator().manual_seed(seed)
        draw = torch.rand(spikes.shape, generator=self._generators[name], dtype=torch.float64)
        on_time = spikes * (draw >= self.level).to(spikes)
        if self.kind == "dropped_spikes":
            return on_time
        late = self._late.get(name, torch.zeros_like(spikes))
        self._late[name] = spikes - on_time
        return on_time + late
