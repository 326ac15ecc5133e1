"""Turns samples into the input of every timestep."""

from __future__ import annotations

from torch import Tensor

from mpo_snn.errors import RecipeError

ENCODINGS = ("direct",)


def encode(x: Tensor, timesteps: int, kind: str = "direct") -> Tensor:
    """Input of all timesteps, (time, batch, *features), from samples (batch, *features).

    `direct` shows the same analog values at every timestep; it is a view with time stride 0, by
    which `Unrolled` and the graph simulator see that it is constant.

    Raises:
        RecipeError: if the kind is unknown.
    """
    if kind != "direct":
        raise RecipeError(f"unknown encoding '{kind}': choose one of {', '.join(ENCODINGS)}.")
    return x.expand(timesteps, *x.shape)
