"""Moments of a sample: count, mean and sum of squared deviations, in float32 or better.

Merged pairwise (Chan et al. 1983), so that micro-batches and processes give what the whole batch
would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpo_snn.device_constants import constant

VARIANCE_FLOOR = 1e-12
"""Where a layer does not move, logarithms and roots see this variance (volt squared)."""


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations; scalars for a layer, arrays for its neurons."""

    count: float | Tensor
    mean: Tensor
    m2: Tensor

    @property
    def variance(self) -> Tensor:
        """Population variance."""
        return self.m2 / self.count

    @property
    def sigma(self) -> Tensor:
        """Population standard deviation; its gradient is finite where nothing moves."""
        variance = self.variance
        return variance.clamp(min=VARIANCE_FLOOR).sqrt() * (variance > 0)

    def detached(self) -> Moments:
        """The same values, cut from the graph."""
        return Moments(self.count, self.mean.detach(), self.m2.detach())


def exact(dtype: torch.dtype) -> torch.dtype:
    """The type in which sums of values of a type are taken: float32 or better."""
    return torch.promote_types(dtype, torch.float32)


def moments(u: Tensor, dim: tuple[int, ...] | None = None) -> Moments:
    """Moments over all elements, or over some axes; differentiable, in float32 or better."""
    u = u.to(exact(u.dtype))
    axes = tuple(range(u.dim())) if dim is None else dim
    if u.is_cuda:
        variance, mean = torch.var_mean(u, axes, correction=0)
        count = u.numel() / mean.numel()
        return Moments(count, mean, variance * count)
    # Shifted by one of the values, in two passes: as exact as torch.var_mean (0 where all values
    # are equal), and many times faster on a CPU.
    first = u[tuple(slice(0, 1) if axis in axes else slice(None) for axis in range(u.dim()))]
    from_shift = u - first.detach()
    mean = from_shift.mean(axes, keepdim=True)
    m2 = (from_shift - mean).square().sum(axes)
    values = (first.detach() + mean).reshape(m2.shape)
    return Moments(u.numel() / m2.numel(), values, m2)


def side_by_side(parts: Sequence[Moments]) -> Moments:
    """Moments of several samples, each 0-d, as vectors."""
    mean, m2 = torch.stack([p.mean for p in parts]), torch.stack([p.m2 for p in parts])
    counts = constant(tuple(float(p.count) for p in parts), mean.dtype, mean.device)
    return Moments(counts, mean, m2)


def merge(a: Moments, b: Moments) -> Moments:
    """Moments of both samples together (Chan et al. 1983, pairwise update)."""
    count = a.count + b.count
    delta = b.mean - a.mean
    mean = a.mean + delta * (b.count / count)
    m2 = a.m2 + b.m2 + delta * delta * (a.count * b.count / count)
    return Moments(count, mean, m2)
