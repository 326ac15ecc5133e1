"""Inputs of what runs on events."""

from __future__ import annotations

import torch
from torch import Tensor


def sparse(
    shape: tuple[int, ...], density: float, seed: int, grades: tuple[float, ...] = (1.0,)
) -> Tensor:
    """Values of few kinds at some places, zero elsewhere."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.tensor(grades)[torch.randint(len(grades), shape, generator=generator)]
    return values * (torch.rand(shape, generator=generator) < density)
