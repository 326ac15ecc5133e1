r"""Layers in real numbers (the equation of `mpo_snn.deploy.layers`), without the delays of a chip.

The reference of every deployment: its accuracy is the one before quantization, and what it reaches
on calibration data says which numbers a chip must hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .layers import INPUT, ChipGraph, Layer
from .project import project
from .quantized import LayerOnGrid


@dataclass(frozen=True)
class Reach:
    """The largest values of a layer over all its neurons, timesteps and samples.

    Attributes:
        current: of |i|, or of the input of a step where there is no synapse.
        v: of |v| before the spike.
        v_low: the lowest v behind the reset, before any clamp.
        spikes: in all.
    """

    current: float
    v: float
    v_low: float
    spikes: int


@dataclass(frozen=True)
class RealRun:
    """What a run gave.

    Attributes:
        output: spikes of the last layer, float64, (T, B, *shape).
        spikes: of every layer, (T, B, *shape), where they were asked for.
        reach: of every layer.
    """

    output: Tensor
    spikes: Mapping[str, Tensor]
    reach: Mapping[str, Reach]


def run_real(graph: ChipGraph, events: Tensor, *, keep_spikes: bool = False) -> RealRun:
    """Run all layers from rest, step by step.

    A connection that leads back, or to the layer itself, carries the spikes of the step before.

    Args:
        graph: the layers.
        events: (T, B, *input_shape).
        keep_spikes: whether to hand out the spikes of every layer.
    """
    timesteps, batch = events.shape[:2]
    states = {layer.name: _State(layer, batch) for layer in graph}
    fired = {layer.name: torch.zeros(batch, *layer.shape, dtype=torch.float64) for layer in graph}
    kept: dict[str, list[Tensor]] = {layer.name: [] for layer in graph}
    for t in range(timesteps):
        fired[INPUT] = events[t].to(torch.float64)
        for layer in graph:
            drive = sum(
                (project(p, p.weight, fired[p.source]) for p in layer.projections),
                torch.zeros(batch, *layer.shape, dtype=torch.float64),
            )
            fired[layer.name] = states[layer.name].advance(drive)
            if keep_spikes or layer is graph.output:
                kept[layer.name].append(fired[layer.name])
    return RealRun(
        torch.stack(kept[graph.output.name]),
        {name: torch.stack(steps) for name, steps in kept.items()} if keep_spikes else {},
        {name: state.reach for name, state in states.items()},
    )


class _State:
    def __init__(self, layer: Layer, batch: int) -> None:
        self.layer = layer
        self.i = torch.zeros(batch, *layer.shape, dtype=torch.float64)
        self.v = torch.zeros_like(self.i)
        self.reach = Reach(0.0, 0.0, 0.0, 0)

    def advance(self, drive: Tensor) -> Tensor:
        """Spikes of one timestep, (B, *shape)."""
        layer = self.layer
        self.i = drive if layer.alpha is None else layer.alpha * self.i + drive
        v = layer.beta * self.v + self.i + layer.bias
        n = firing(v, layer.threshold, layer.most_spikes)
        after = v - n * layer.threshold if layer.reset == "subtract" else v.masked_fill(n > 0, 0.0)
        self.v = after if layer.lower is None else after.clamp(min=layer.lower)
        self.reach = Reach(
            max(self.reach.current, float(self.i.abs().max())),
            max(self.reach.v, float(v.abs().max())),
            min(self.reach.v_low, float(after.min())),
            self.reach.spikes + round(float(n.sum())),
        )
        return n


def firing(v: Tensor, threshold: Tensor, most_spikes: int) -> Tensor:
    """How many spikes: 1 above the threshold; of several, as often as it fits in."""
    if most_spikes == 1:
        return (v > threshold).to(v.dtype)
    return torch.floor(v / threshold).clamp(0, most_spikes)


def with_values(graph: ChipGraph, values: Mapping[str, LayerOnGrid]) -> ChipGraph:
    """The same layers with the values that a chip has in the place of the real ones."""
    layers = []
    for layer in graph:
        on_grid = values[layer.name]
        projections = tuple(
            replace(projection, weight=weight)
            for projection, weight in zip(layer.projections, on_grid.weights, strict=True)
        )
        layers.append(
            replace(
                layer,
                projections=projections,
                alpha=on_grid.alpha,
                beta=on_grid.beta,
                threshold=on_grid.threshold,
                bias=on_grid.bias,
                lower=on_grid.lower,
            )
        )
    return replace(graph, layers=tuple(layers))
