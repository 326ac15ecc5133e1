r"""The step simulation of Speck 2e and 2f (DYNAP-CNN), bit for bit: what sinabs runs.

One layer, one timestep (sinabs 3.1.3, ``IAF`` in ``DynapcnnNetwork``):

.. math::
    v &\leftarrow v + \text{conv}(x, W) + b \\
    n &= \lfloor v / \theta \rfloor \text{ for } v > 0 \quad\text{(multi)}, \qquad
    n = [v \ge \theta] \quad\text{(single)} \\
    v &\leftarrow v - n \theta \quad\text{(subtract)}, \qquad
    v \leftarrow 0 \text{ where } n > 0 \quad\text{(zero)} \\
    v &\leftarrow \max(v, \text{lower})

then the spikes are summed over pooling windows. There is no upper clamp. The chip itself has no
timesteps: it works event by event, and the order of events decides. This is the mode that can be
checked; what the silicon does may differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from .fixed_point import limits

STATE_BITS = 16


@dataclass(frozen=True)
class SpeckLayer:
    """One core: convolution, IF neurons, sum pooling; whole numbers in int64 tensors.

    Attributes:
        weight: int8, (out, in, kernel, kernel).
        bias: int8, (out,).
        threshold: int16, > 0.
        lower: int16, the lowest membrane.
        stride: of the convolution.
        padding: of the convolution.
        pool: side and stride of the pooling windows.
        spikes: `multi` or `single` a step.
        reset: `subtract` or `zero`.
    """

    weight: Tensor
    bias: Tensor
    threshold: int
    lower: int
    stride: int = 1
    padding: int = 0
    pool: int = 1
    spikes: Literal["multi", "single"] = "multi"
    reset: Literal["subtract", "zero"] = "subtract"


@dataclass
class SpeckRun:
    """What a run gave.

    Attributes:
        output: pooled spikes of the last layer, (T, B, channels, height, width).
        spikes: spikes of each layer before pooling, each (T, B, channels, height, width).
        v: membranes after reset and clamp, likewise.
        beyond: membranes that 16 bits would not have held, counted once a step each.
    """

    output: Tensor
    spikes: list[Tensor]
    v: list[Tensor]
    beyond: int = 0


def run_speck(layers: Sequence[SpeckLayer], events: Tensor) -> SpeckRun:
    """Run all layers from rest, layer by layer and step by step.

    Args:
        layers: from the input on.
        events: (T, B, channels, height, width), whole numbers >= 0.
    """
    run, x = SpeckRun(events, [], []), events
    for layer in layers:
        spikes, membranes = [], []
        v: Tensor | None = None
        for step in x:
            current = _convolve(step, layer)
            v = current if v is None else v + current
            run.beyond += int((v > limits(STATE_BITS)[1]).sum())
            n = v.clamp(min=0) // layer.threshold
            if layer.spikes == "single":
                n = n.clamp(max=1)
            v = v - n * layer.threshold if layer.reset == "subtract" else v.masked_fill(n > 0, 0)
            v = v.clamp(min=layer.lower)
            spikes.append(n)
            membranes.append(v)
        run.spikes.append(torch.stack(spikes))
        run.v.append(torch.stack(membranes))
        x = _pool(run.spikes[-1], layer.pool)
    run.output = x
    return run


def _convolve(x: Tensor, layer: SpeckLayer) -> Tensor:
    """Exact: products and sums of whole numbers in float64."""
    current = functional.conv2d(
        x.double(), layer.weight.double(), layer.bias.double(), layer.stride, layer.padding
    )
    return current.to(torch.int64)


def _pool(spikes: Tensor, side: int) -> Tensor:
    if side == 1:
        return spikes
    summed = functional.avg_pool2d(spikes.flatten(0, 1).double(), side, divisor_override=1)
    pooled = summed.round().to(torch.int64)
    return pooled.reshape(*spikes.shape[:2], *pooled.shape[1:])
