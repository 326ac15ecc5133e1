"""Currents that spikes cause through a projection; exact for whole numbers below 2^53."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .layers import Projection


def project(projection: Projection, weight: Tensor, spikes: Tensor) -> Tensor:
    """Sum over windows, then convolve or multiply, in float64.

    Args:
        projection: where the spikes come from and what they pass.
        weight: in place of the projection's own, of its shape.
        spikes: (N, *source_shape); N may be timesteps times samples.

    Returns:
        currents, (N, *output_shape), float64.
    """
    x = spikes.to(torch.float64)
    if projection.pool != (1, 1):
        x = functional.avg_pool2d(x, projection.pool, divisor_override=1)
    if projection.kind == "dense":
        current = x.flatten(1) @ weight.to(torch.float64).T
    else:
        current = functional.conv2d(
            x, weight.to(torch.float64), None, projection.stride, projection.padding
        )
    return current.reshape(len(spikes), *projection.output_shape)


def targets_of(projection: Projection, weight: Tensor, spikes: Tensor) -> int:
    """Synaptic events: how many nonzero weights all these spikes reach, borders taken off."""
    counts = project(projection, (weight != 0).to(torch.float64), spikes)
    return round(math.fsum(counts.sum(0).flatten().tolist()))
