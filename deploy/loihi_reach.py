"""How far sums, currents and membranes of a layer reach, in units of the network.

On calibration events the network runs in real numbers, and as much again is kept free for samples
that reach further. Without them it is the worst case: every source that helps fires at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .layers import ChipGraph, Layer
from .project import project
from .real_run import run_real

HEADROOM = 2.0
"""How much further than on the calibration events a layer may reach."""


@dataclass(frozen=True)
class LoihiReach:
    """Bounds of one layer.

    Attributes:
        total: of the sum of weights in a step.
        current: of the current, and of the current with its bias.
        membrane: of the membrane; 0 where nothing is known.
    """

    total: float
    current: float
    membrane: float


def reach_of(graph: ChipGraph, calibration: Tensor | None) -> dict[str, LoihiReach]:
    """Bounds of every layer.

    Args:
        graph: the layers.
        calibration: (T, B, *input_shape), or None for the worst case.
    """
    if calibration is None:
        return {
            layer.name: worst_case(layer, [p.weight for p in layer.projections]) for layer in graph
        }
    run = run_real(graph, calibration)
    bounds = {}
    for layer in graph:
        reach, leak = run.reach[layer.name], _largest(layer.alpha)
        current = HEADROOM * reach.current
        bounds[layer.name] = LoihiReach(
            total=current * (1 + leak),
            current=current + _largest(layer.bias),
            membrane=HEADROOM * max(reach.v, -reach.v_low),
        )
    return bounds


def worst_case(layer: Layer, weights: list[Tensor], bias: Tensor | None = None) -> LoihiReach:
    """Bounds of a layer with these weights, one for each projection, and spikes of at most 1."""
    most = sum(_most(layer, [weight.clamp(min=0) for weight in weights]))
    least = sum(_most(layer, [(-weight).clamp(min=0) for weight in weights]))
    total = torch.maximum(torch.as_tensor(most), torch.as_tensor(least))
    current = total if layer.alpha is None else total / (1 - layer.alpha)
    bias = layer.bias if bias is None else bias
    return LoihiReach(float(total.max()), float((current + bias.abs()).max()), 0.0)


def _most(layer: Layer, weights: list[Tensor]) -> list[Tensor]:
    """Currents of each projection when every source fires once."""
    return [
        project(projection, weight, torch.ones(1, *projection.source_shape))[0].double()
        for projection, weight in zip(layer.projections, weights, strict=True)
    ]


def _largest(x: Tensor | None) -> float:
    return 0.0 if x is None else float(x.abs().max())
