"""Statistics of the membrane over all processes that train together, from those of each.

What carries a gradient is summed as `mpo_snn.processes` says. In a single process every function
here is the identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from mpo_snn.membrane import Sample, share_inside
from mpo_snn.moments import Moments
from mpo_snn.processes import Group, processes, summed


def merged(parts: Sequence[Moments], group: Group | None = None) -> list[Moments]:
    r"""Moments of the samples of all processes, from those of this one's; two reductions in all.

    With the joint mean :math:`\mu`,

    .. math:: M_2 = \sum_r M_{2,r} + n_r (\mu_r - \mu)^2

    whose derivative by :math:`\mu` is 0, so it counts as a constant there. Summed in float64: what
    is equal everywhere keeps a variance of exactly 0.

    Args:
        parts: of any number of layers, in the same order in all processes.
        group: whose; None are all.
    """
    if processes(group) == 1:
        return list(parts)
    sums = [torch.cat((_vector(p.count, p.mean), p.count * _flat(p.mean))) for p in parts]
    counts, means = [], []
    for total, part in zip(_summed_together(sums, group), parts, strict=True):
        counts.append(total[0].detach())
        means.append((total[1:] / counts[-1]).reshape(part.mean.shape))
    deviations = [
        _flat(p.m2) + p.count * (_flat(p.mean) - _flat(mean.detach().to(p.mean.dtype))).square()
        for p, mean in zip(parts, means, strict=True)
    ]
    return [
        Moments(
            count.to(p.mean.dtype), mean.to(p.mean.dtype), m2.reshape(p.m2.shape).to(p.m2.dtype)
        )
        for p, count, mean, m2 in zip(
            parts, counts, means, _summed_together(deviations, group), strict=True
        )
    ]


def merged_samples(
    samples: Sequence[Sample], gamma: float, group: Group | None = None
) -> list[Sample]:
    """Samples of all processes from those of this one's; three reductions in all.

    Each U is held against the joint mean and sigma of its layer.

    Args:
        samples: with their U, of any number of layers, in the same order in all processes.
        gamma: half-band of rho, in sigmas.
        group: whose; None are all.
    """
    if processes(group) == 1 or not samples:
        return list(samples)
    neurons = [s.neurons for s in samples if s.neurons is not None]
    joint = merged([*(s.layer for s in samples), *neurons], group)
    layers, joint_neurons = joint[: len(samples)], iter(joint[len(samples) :])
    shares, found = [], []
    for sample, layer in zip(samples, layers, strict=True):
        assert sample.u is not None, "samples of several processes keep their U"
        rho = share_inside(sample.u, layer.detached(), gamma)
        own = (_vector(1.0, rho), _flat(sample.shares)[:3], _flat(rho))
        shares.append(len(sample.u) * torch.cat(own))
    totals = _summed_together(shares, group)
    for sample, layer, total in zip(samples, layers, totals, strict=True):
        means = total[1:] / total[0]
        found.append(
            replace(
                sample,
                layer=layer,
                neurons=None if sample.neurons is None else next(joint_neurons).detached(),
                shares=means.to(sample.shares.dtype),
                u=None,
            )
        )
    return found


def _flat(x: Tensor) -> Tensor:
    return x.reshape(-1).double()


def _vector(value: float | Tensor, like: Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64, device=like.device).reshape(1)


def _summed_together(vectors: Sequence[Tensor], group: Group | None) -> Sequence[Tensor]:
    """The sum over processes of each vector, by one reduction."""
    return torch.split(summed(torch.cat(tuple(vectors)), group), [len(v) for v in vectors])
