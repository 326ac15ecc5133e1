"""Random networks as large as those for handwritten digits, in real numbers, for Speck."""

from __future__ import annotations

import torch
from torch import Tensor

from mpo_snn.deploy.layers import INPUT, ChipGraph, Layer, Projection
from mpo_snn.graph.neuron_behaviour import ResetKind


def digits_graph(
    seed: int, reset: ResetKind, most_spikes: int, *, bias: bool, skip: bool
) -> ChipGraph:
    """1x8x8 events: two convolutions with pooling between them, and 10 classes.

    Args:
        seed: of weights, biases and lowest membranes.
        reset: of all neurons.
        most_spikes: of all neurons.
        bias: whether there are biases.
        skip: a third convolution, whose source also drives the last layer, with the same weight.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def convolution(
        source: str, into: tuple[int, int, int], out: int, pool: int = 1, kernel: int = 3
    ) -> Projection:
        side = into[1] // pool
        weight = normal(out, into[0], kernel, kernel) * 2.0 / (kernel * kernel * into[0]) ** 0.5
        half = kernel // 2
        return Projection(
            source, source, "convolution", weight, into, (out, side, side),
            (pool, pool), (1, 1), (half, half),
        )  # fmt: skip

    def layer(name: str, *projections: Projection) -> Layer:
        shape = projections[0].output_shape
        by_channel = normal(shape[0]).reshape(-1, *[1] * (len(shape) - 1)) * 0.1 * bias
        ones = torch.ones(shape, dtype=torch.float64)
        lower = -1.0 - float(normal(1).abs())
        biases = by_channel.expand(shape).clone()
        return Layer(name, shape, projections, None, ones, ones, biases, reset, most_spikes, lower)

    layers = [
        layer("first", convolution(INPUT, (1, 8, 8), 8)),
        layer("second", convolution("first", (8, 8, 8), 16, pool=2)),
    ]
    weight = normal(10, 64) / 4.0
    sources = ["second"]
    if skip:
        layers.append(layer("third", convolution("second", (16, 4, 4), 16)))
        sources.append("third")
    heads = [
        Projection(source, "last", "dense", weight, (16, 4, 4), (10,), (2, 2)) for source in sources
    ]
    layers.append(layer("last", *heads))
    return ChipGraph(tuple(layers), (1, 8, 8), 8, "counts")
