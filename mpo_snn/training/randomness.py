"""Every random draw as a function of the recipe's seed and of where in the run it is made."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def derived_seed(seed: int, purpose: str, index: int = 0, rank: int = 0) -> int:
    """A seed of its own for one purpose and place, e.g. `dropout` of step 17.

    Different arguments give unrelated seeds; a run that is resumed at the same place draws the
    same numbers, whatever was drawn before. `rank` is that of a process among several, which draw
    for samples of their own.
    """
    place = f"{seed}/{purpose}/{index}" + (f"/{rank}" if rank else "")
    return random.Random(place).getrandbits(62)


def draws_by_sample(seed: int, first: int, shape: Sequence[int]) -> Tensor:
    """Uniform draws in [0, 1) for samples of a data set, float64, on the CPU.

    One stream of numbers runs over the data set and each sample has its own part of it, so that
    it draws the same alone and in any batch.

    Args:
        seed: of the stream.
        first: index of the first of these samples within the data set.
        shape: of the draws, (samples, *features).
    """
    stream = np.random.PCG64(seed).advance(first * math.prod(shape[1:]))
    return torch.from_numpy(np.random.Generator(stream).random(tuple(shape)))
