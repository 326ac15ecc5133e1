"""Where the neurons of a layer lie in memory, for the kernels of a GPU.

Time is outermost and samples are next, each timestep of a sample dense in whatever order of its
axes (channels first or last): a neuron has a place in its sample.
"""

from __future__ import annotations

import torch
from torch import Tensor


def is_dense(x: Tensor) -> bool:
    """Whether its values fill a stretch of memory, in whatever order of the axes."""
    expected = 1
    for stride, size in sorted(zip(x.stride(), x.shape, strict=True)):
        if size > 1 and stride != expected:
            return False
        expected *= size
    return True


def one_step(source: Tensor, constant: bool) -> Tensor:
    """One timestep of the input, (batch, *features)."""
    return source if constant else source[0]


def over_time(step: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """Uninitialised (time, *step), each timestep in the layout of `step`."""
    return torch.empty_strided(
        (steps, *step.shape), (step.numel(), *step.stride()), dtype=dtype, device=step.device
    )


def laid_out_as(grad: Tensor, like: Tensor) -> Tensor:
    """The gradient in the memory layout of what it belongs to."""
    same = all(
        a == b
        for a, b, size in zip(grad.stride(), like.stride(), like.shape, strict=True)
        if size > 1
    )
    return grad if same else torch.empty_like(like, dtype=grad.dtype).copy_(grad)


def indexed(value: Tensor, step: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """A parameter and (divisor, modulus): a neuron at place i finds i // divisor % modulus.

    Args:
        value: broadcasts against one sample.
        step: one timestep of the layer, (batch, *features).
    """
    value = value.detach() if value.requires_grad else value
    if value.numel() == 1:
        return value, (1, 1)
    sample = step[0]
    if value.shape == (sample.shape[0], *[1] * (sample.dim() - 1)):
        return value.reshape(-1).contiguous(), (sample.stride(0), sample.shape[0])
    in_memory = torch.empty_like(sample, dtype=value.dtype)
    return in_memory.copy_(value.expand(sample.shape)), (1, sample.numel())
