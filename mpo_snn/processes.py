r"""Sums over the processes that train one network together, as autograd has to see them.

Each of k processes computes the whole loss L from sums S over all samples, of which it holds its
own part, :math:`S = \sum_r S_r`. The gradient by a weight w is then

.. math:: \frac{dL}{dw} = \sum_r \frac{\partial L}{\partial S} \frac{dS_r}{dw}
    = \frac1k \sum_r k\, \frac{\partial L}{\partial S} \frac{dS_r}{dw}

DistributedDataParallel averages the gradients of all processes, so every one has to hold k times
its share: backward, `summed` multiplies by k. Every process computes the same L from the same S,
so nothing has to be sent for that. What each of them computes from S otherwise must not depend on
its own samples.

Without a process group, or in one of a single process, every function here is the identity.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

Group = dist.ProcessGroup


def processes(group: Group | None = None) -> int:
    """How many train together; 1 where `torch.distributed` was not initialised."""
    if not (dist.is_available() and dist.is_initialized()):
        return 1
    return dist.get_world_size(group)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group | None) -> Tensor:
        ctx.processes = processes(group)
        total = x.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.processes * gradients[0], None


def summed(x: Tensor, group: Group | None = None) -> Tensor:
    """Sum over processes, of any shape; its gradient is as this module says.

    Args:
        x: what this process adds, of the same shape in all.
        group: who adds; None are all.
    """
    if processes(group) == 1:
        return x
    return _Sum.apply(x, group)  # type: ignore[no-untyped-call, no-any-return]


def weighted_mean(x: Tensor, weight: float, group: Group | None = None) -> Tensor:
    """Mean over processes, each with the weight of its own samples: sum(w x) / sum(w).

    Args:
        x: mean over the samples of this process, any shape.
        weight: how many they are, above 0.
        group: whose; None are all.
    """
    if processes(group) == 1:
        return x
    total = summed(torch.cat((weight * x.reshape(-1), x.new_full((1,), weight))), group)
    return (total[:-1] / total[-1].detach()).reshape(x.shape)
