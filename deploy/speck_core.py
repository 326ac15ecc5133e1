"""The step simulation of Speck 2e and 2f (DYNAP-CNN), bit for bit: what sinabs runs.

`docs/cores.md` has the equations of a step (sinabs 3.1.3, ``IAF`` in ``DynapcnnNetwork``). Spikes
are summed over pooling windows on their way to each destination. The chip itself has no timesteps:
it works event by event, and the order of events decides (`mpo_snn.deploy.speck_events`). This is
the mode that can be checked; what the silicon does may differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from mpo_snn.graph.neuron_behaviour import ResetKind

from .fixed_point import limits

STATE_BITS = 16


@dataclass(frozen=True)
class SpeckSource:
    """Where events come from, and what happens to them on the way to a core.

    Attributes:
        name: of a layer, or `mpo_snn.deploy.layers.INPUT`.
        pool: sides of the windows, (height, width), over which they are summed; (1, 1) for none.
        shift: their first channel counts as this one at the core (samna: ``feature_shift``).
            Sources with the same shift add up, with others they stand side by side.
    """

    name: str
    pool: tuple[int, int] = (1, 1)
    shift: int = 0


@dataclass(frozen=True)
class SpeckLayer:
    """One core: a convolution and IF neurons; whole numbers in int64 tensors.

    Attributes:
        name: of the layer.
        sources: where its events come from.
        weight: int8, (out, in, height, width).
        bias: int8, (out,).
        threshold: int16, > 0.
        lower: int16, the lowest membrane.
        stride: of the convolution, (height, width).
        padding: of the convolution, (height, width).
        most_spikes: of one neuron in one step; None for as many as the membrane holds.
        reset: `subtract` or `zero`.
    """

    name: str
    sources: tuple[SpeckSource, ...]
    weight: Tensor
    bias: Tensor
    threshold: int
    lower: int
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    most_spikes: int | None = None
    reset: ResetKind = "subtract"


@dataclass
class SpeckRun:
    """What a run gave.

    Attributes:
        spikes: of each layer before pooling, each (T, B, channels, height, width).
        v: membranes after reset and clamp, likewise, where they were asked for.
        beyond: membranes that 16 bits would not have held, counted once a step each.
    """

    spikes: dict[str, Tensor] = field(default_factory=dict)
    v: dict[str, Tensor] = field(default_factory=dict)
    beyond: int = 0


def run_speck(layers: Sequence[SpeckLayer], events: Tensor, *, keep_v: bool = False) -> SpeckRun:
    """Run all layers from rest, layer by layer and step by step.

    Args:
        layers: each behind its sources.
        events: of the source `input`, (T, B, channels, height, width), whole numbers >= 0.
        keep_v: whether to hand out the membranes.
    """
    run, fired = SpeckRun(), {"input": events}
    for layer in layers:
        current = _convolve(arriving(layer, fired), layer)
        spikes, membranes = [], []
        v = torch.zeros_like(current[0])
        for step in current:
            v = v + step
            run.beyond += int((v > limits(STATE_BITS)[1]).sum())
            n = (v // layer.threshold).clamp(0, layer.most_spikes)
            v = v - n * layer.threshold if layer.reset == "subtract" else v.masked_fill(n > 0, 0)
            v = v.clamp(min=layer.lower)
            spikes.append(n)
            if keep_v:
                membranes.append(v)
        run.spikes[layer.name] = fired[layer.name] = torch.stack(spikes)
        if keep_v:
            run.v[layer.name] = torch.stack(membranes)
    return run


def arriving(layer: SpeckLayer, fired: Mapping[str, Tensor]) -> Tensor:
    """Events that reach a core, pooled and shifted, (T, B, in, height, width)."""
    parts = [_pool(fired[source.name], source.pool) for source in layer.sources]
    channels = layer.weight.shape[1]
    if len(parts) == 1 and parts[0].shape[2] == channels:
        return parts[0]
    time, batch, _, height, width = parts[0].shape
    events = torch.zeros(time, batch, channels, height, width, dtype=torch.int64)
    for source, part in zip(layer.sources, parts, strict=True):
        events[:, :, source.shift : source.shift + part.shape[2]] += part
    return events


def _convolve(x: Tensor, layer: SpeckLayer) -> Tensor:
    """Exact: products and sums of whole numbers in float64."""
    current = functional.conv2d(
        x.flatten(0, 1).double(),
        layer.weight.double(),
        layer.bias.double(),
        layer.stride,
        layer.padding,
    )
    return current.to(torch.int64).reshape(*x.shape[:2], *current.shape[1:])


def _pool(spikes: Tensor, sides: tuple[int, int]) -> Tensor:
    if sides == (1, 1):
        return spikes
    summed = functional.avg_pool2d(spikes.flatten(0, 1).double(), sides, divisor_override=1)
    return summed.round().to(torch.int64).reshape(*spikes.shape[:2], *summed.shape[1:])
