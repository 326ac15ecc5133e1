"""Where the layers of a chip's network lie in its tensors: what a program needs to run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mpo_snn.graph.neuron_behaviour import ResetKind

from .layers import Projection

Span = tuple[int, int]
"""From the first to behind the last."""


@dataclass(frozen=True)
class SourcePlace:
    """One way into a layer: sums over windows, then a matrix or a convolution without a bias.

    Attributes:
        source: name of a layer, or `mpo_snn.deploy.layers.INPUT`.
        shape: of its spikes, (N,) or (C, H, W).
        tensors: names by what they are, `weight` or what it is made of.
        kind: `dense` or `convolution`.
        pool: sides of the windows, which are summed and do not overlap; (1, 1) for none. What an
            odd side leaves over is dropped.
        stride: of a convolution, (height, width).
        padding: of a convolution, (height, width), zeros on both sides.
        delayed: whether spikes of the step before arrive, not those of the same step.
        channels: inputs of the tensor that are this source's, where it has others.
        rows: of the tensor that are this source's neurons, likewise.
    """

    source: str
    shape: tuple[int, ...]
    tensors: Mapping[str, str]
    kind: Literal["dense", "convolution"]
    pool: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    delayed: bool
    channels: Span | None = None
    rows: Span | None = None


@dataclass(frozen=True)
class LayerPlace:
    """A layer of neurons.

    Attributes:
        name: of the layer.
        shape: of its neurons, (N,) or (C, H, W).
        reset: what a spike does to the membrane.
        most_spikes: of a neuron in a step; None for as many as the membrane holds.
        v_min: the lowest membrane, in units of it; a wrap or a clamp is the core's matter.
        v_max: the highest; None where nothing ends it.
        tensors: names of the neurons' parameters by what they are.
        sources: in the order of the tensors; all currents add.
        neurons: those of the tensors that are this layer's, where they have others.
    """

    name: str
    shape: tuple[int, ...]
    reset: ResetKind
    most_spikes: int | None
    v_min: int
    v_max: int | None
    tensors: Mapping[str, str]
    sources: tuple[SourcePlace, ...]
    neurons: Span | None = None


def source_place(
    projection: Projection, tensors: Mapping[str, str], *, delayed: bool
) -> SourcePlace:
    """Of a projection that has tensors of its own."""
    return SourcePlace(
        projection.source,
        projection.source_shape,
        tensors,
        projection.kind,
        projection.pool,
        projection.stride,
        projection.padding,
        delayed,
    )
