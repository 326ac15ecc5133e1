"""One timestep shown at all of them, without a copy; its gradient costs no more than it must."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Repeated(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, timesteps: int) -> Tensor:
        return x.expand(timesteps, *x.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        if grad.stride(0) == 0:  # equal parts, as a scan of a constant current gives them
            return grad[0] * len(grad), None
        return grad.sum(0), None


def repeated(x: Tensor, timesteps: int) -> Tensor:
    """`x.expand(timesteps, *x.shape)`, (time, *x.shape) with a time stride of 0.

    The gradient of `expand` is the sum over time of what comes back, read T times even where it
    lies in memory once; here it is a product then.

    Args:
        x: what is shown, of any shape.
        timesteps: T.
    """
    return _Repeated.apply(x, timesteps)  # type: ignore[no-any-return, no-untyped-call]
