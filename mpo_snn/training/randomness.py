"""Every random draw as a function of the recipe's seed and of where in the run it is made."""

from __future__ import annotations

import random


def derived_seed(seed: int, purpose: str, index: int = 0, rank: int = 0) -> int:
    """A seed of its own for one purpose and place, e.g. `dropout` of step 17.

    Different arguments give unrelated seeds; a run that is resumed at the same place draws the
    same numbers, whatever was drawn before. `rank` is that of a process among several, which draw
    for samples of their own.
    """
    place = f"{seed}/{purpose}/{index}" + (f"/{rank}" if rank else "")
    return random.Random(place).getrandbits(62)
