"""What a kind of network is: how one is made of a seed, and which simulator has to agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

STEPS, BATCH, SEEDS = 200, 2, 20
Made = tuple[dict[str, Any], dict[str, Tensor], int]
"""A network as arrays, what our core makes of it, and how often that was at a rail."""


@dataclass(frozen=True)
class Kind:
    """A row of the proof.

    Attributes:
        name: of the kind.
        simulator: with its version.
        environment: that it is installed in, a folder.
        runner: script in `chip_proof/runners`.
        make: a network of a seed.
        networks: how many, from seed 0 on.
    """

    name: str
    simulator: str
    environment: str
    runner: str
    make: Callable[[int], Made]
    networks: int = SEEDS
