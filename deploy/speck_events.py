"""Speck event by event, as its documents describe the silicon. Unverified: no simulator is public.

An event adds its kernel entries to the neurons that it reaches. Each of them fires at most once for
it, is reset, and clamped from below; the spikes then run on through all layers behind before the
next event (depth first). A neuron that is left above its threshold stays silent until it is reached
again. What of this order the chip keeps is not public, so take the run for a second opinion beside
the step simulation, which is the one that agrees with the vendor's tool.

Here the events of a timestep come in the order of channels, rows and columns, and the leak by which
the chip adds biases ticks once at the start of each timestep, without spikes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .fixed_point import limits
from .quantized import IntegerRun
from .speck_core import STATE_BITS, SpeckLayer
from .speck_quantize import SpeckNetwork

Integers = NDArray[np.int64]


def run_speck_events(network: SpeckNetwork, events: Tensor) -> IntegerRun:
    """Run input events, int64 (T, B, *input_shape), one by one, from rest.

    Slow: for a few samples.

    Raises:
        DeployError: if they have another shape or type.
    """
    maps = network.as_maps(events).numpy()
    time, batch = maps.shape[:2]
    shapes = _shapes(network, maps.shape[2:])
    names = [layer.name for layer in network.layers]
    spikes = {name: torch.zeros(time, batch, *shapes[name], dtype=torch.int64) for name in names}
    synaptic_events = beyond = 0
    for sample in range(batch):
        chip = _Chip(network.layers, shapes)
        for t in range(time):
            chip.tick()
            for channel, row, column in np.argwhere(maps[t, sample]):
                for _ in range(maps[t, sample, channel, row, column]):
                    chip.send("input", int(channel), int(row), int(column))
            for name in names:
                spikes[name][t, sample] = torch.from_numpy(chip.cores[name].take_spikes())
        synaptic_events += sum(core.synaptic_events for core in chip.cores.values())
        beyond += sum(core.beyond for core in chip.cores.values())
    return IntegerRun(
        output=spikes[names[-1]].flatten(2),
        spikes={name: int(fired.sum()) for name, fired in spikes.items()},
        events={"membranes beyond 16 bits": beyond},
        synaptic_events=synaptic_events,
        updates=time * batch * sum(layer.size for layer in network.graph),
    )


class _Chip:
    """All cores, and the connections between them."""

    def __init__(self, layers: tuple[SpeckLayer, ...], shapes: dict[str, tuple[int, ...]]) -> None:
        self.cores = {
            layer.name: _Core(layer, _arriving_shape(layer, shapes), shapes[layer.name])
            for layer in layers
        }
        self.ways: dict[str, list[_Way]] = {name: [] for name in shapes}
        for layer in layers:
            for source in layer.sources:
                way = _Way(self.cores[layer.name], source.pool, source.shift)
                self.ways[source.name].append(way)

    def tick(self) -> None:
        """Leak: every neuron takes its bias."""
        for core in self.cores.values():
            core.tick()

    def send(self, source: str, channel: int, row: int, column: int) -> None:
        """An event, and all that follows from it."""
        for way in self.ways[source]:
            place = row // way.pool[0], column // way.pool[1]
            for spike in way.core.take(channel + way.shift, *place):
                self.send(way.core.layer.name, *spike)


class _Core:
    """Membranes and kernel of one layer."""

    def __init__(
        self, layer: SpeckLayer, arriving: tuple[int, ...], shape: tuple[int, ...]
    ) -> None:
        self.layer, self.arriving = layer, arriving
        self.weight: Integers = layer.weight.numpy()
        self.bias: Integers = layer.bias.numpy()[:, None, None]
        self.v = np.zeros(shape, dtype=np.int64)
        self.fired = np.zeros(shape, dtype=np.int64)
        self.synaptic_events = self.beyond = 0

    def tick(self) -> None:
        self.v = np.maximum(self.v + self.bias, self.layer.lower)

    def take(self, channel: int, row: int, column: int) -> Iterator[tuple[int, int, int]]:
        """The neurons that fire on an event, in the order of channels, rows and columns."""
        layer = self.layer
        if row >= self.arriving[1] or column >= self.arriving[2]:
            return  # on a rim that pooling leaves out
        height, width = self.weight.shape[2:]
        rows, down = _reached(row, height, layer.stride[0], layer.padding[0], self.v.shape[1])
        columns, across = _reached(
            column, width, layer.stride[1], layer.padding[1], self.v.shape[2]
        )
        added = self.weight[:, channel][:, down[:, None], across[None, :]]
        there = np.ix_(np.arange(len(self.v)), rows, columns)
        v = self.v[there] + added
        self.synaptic_events += int(np.count_nonzero(added))
        self.beyond += int((v > limits(STATE_BITS)[1]).sum())
        spikes = v >= layer.threshold
        v = v - spikes * layer.threshold if layer.reset == "subtract" else v * ~spikes
        self.v[there] = np.maximum(v, layer.lower)
        self.fired[there] += spikes
        for out, y, x in np.argwhere(spikes):
            yield int(out), int(rows[y]), int(columns[x])

    def take_spikes(self) -> Integers:
        """Spikes since the last call."""
        fired, self.fired = self.fired, np.zeros_like(self.fired)
        return fired


@dataclass(frozen=True)
class _Way:
    """From a source to a core."""

    core: _Core
    pool: tuple[int, int]
    shift: int


def _reached(
    place: int, kernel: int, stride: int, padding: int, size: int
) -> tuple[Integers, Integers]:
    """Neurons along one axis that an event reaches, and the kernel entry that each gets."""
    neurons = np.arange(size)
    entries = place + padding - neurons * stride
    within = (entries >= 0) & (entries < kernel)
    return neurons[within], entries[within]


def _shapes(network: SpeckNetwork, given: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Channels, height and width of every source."""
    shapes: dict[str, tuple[int, ...]] = {"input": tuple(given)}
    for layer in network.layers:
        _, *sides = _arriving_shape(layer, shapes)
        kernel = layer.weight.shape[2:]
        out = (
            (side + 2 * padding - k) // stride + 1
            for side, padding, k, stride in zip(
                sides, layer.padding, kernel, layer.stride, strict=True
            )
        )
        shapes[layer.name] = (len(layer.weight), *out)
    return shapes


def _arriving_shape(layer: SpeckLayer, shapes: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    source = layer.sources[0]
    _, height, width = shapes[source.name]
    return layer.weight.shape[1], height // source.pool[0], width // source.pool[1]
