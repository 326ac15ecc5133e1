"""Random networks in real numbers for Loihi's quantizer."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor

from mpo_snn.deploy.layers import INPUT, ChipGraph, Layer, Projection

_CONNECTION = ("source", "kind", "source_shape", "pool", "stride", "padding")


def recurrent_graph(seed: int) -> ChipGraph:
    """8 inputs, 16 recurrent neurons with a synapse, 6 without; every leak and bias its own.

    Recurrent weights are small enough for an exponent of their own.
    """
    draw = _Draw(seed)
    hidden = draw.layer(
        "hidden", (16,), draw.dense(INPUT, (8,), 16), draw.dense("hidden", (16,), 16, size=0.4)
    )
    output = draw.layer("output", (6,), draw.dense("hidden", (16,), 6), synapse=False)
    return ChipGraph((hidden, output), (8,), 200, "rate")


def image_graph(seed: int) -> ChipGraph:
    """2x12x12 pixels, summed over 2x2, a padded convolution, one with stride 2, 4 neurons."""
    draw = _Draw(seed)
    first = draw.convolution(INPUT, (2, 12, 12), (4, 6, 6), pool=2, padding=1)
    second = draw.convolution("first", (4, 6, 6), (5, 2, 2), stride=2)
    return ChipGraph(
        (
            draw.layer("first", (4, 6, 6), first),
            draw.layer("second", (5, 2, 2), second, synapse=False),
            draw.layer("output", (4,), draw.dense("second", (5, 2, 2), 4)),
        ),
        (2, 12, 12),
        200,
        "rate",
    )


def described(graph: ChipGraph) -> dict[str, Any]:
    """How layers are connected, as JSON, and the steps from the input to the output."""
    layers = [
        {
            "name": layer.name,
            "shape": layer.shape,
            "projections": [
                {name: getattr(projection, name) for name in _CONNECTION}
                for projection in layer.projections
            ],
        }
        for layer in graph
    ]
    return {"layers": json.dumps(layers), "delay": graph.depth()[graph.output.name]}


class _Draw:
    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=self.generator, dtype=torch.float64)

    def dense(
        self, source: str, shape: tuple[int, ...], outputs: int, size: float = 1.5
    ) -> Projection:
        inputs = torch.Size(shape).numel()
        weight = self.normal(outputs, inputs) * size / inputs**0.5
        return Projection(source, source, "dense", weight, shape, (outputs,))

    def convolution(
        self,
        source: str,
        shape: tuple[int, int, int],
        into: tuple[int, int, int],
        pool: int = 1,
        stride: int = 1,
        padding: int = 0,
    ) -> Projection:
        weight = self.normal(into[0], shape[0], 3, 3) * 1.5 / (9 * shape[0]) ** 0.5
        return Projection(
            source, source, "convolution", weight, shape, into,
            (pool, pool), (stride, stride), (padding, padding),
        )  # fmt: skip

    def layer(
        self, name: str, shape: tuple[int, ...], *projections: Projection, synapse: bool = True
    ) -> Layer:
        return Layer(
            name=name,
            shape=shape,
            projections=projections,
            alpha=self.uniform(0.0, 0.95, *shape) if synapse else None,
            beta=self.uniform(0.0, 1.0, *shape),
            threshold=self.uniform(0.5, 1.5, *shape),
            bias=0.1 * self.normal(*shape),
        )
