"""Turns samples into the input of every timestep."""

from __future__ import annotations

from torch import Tensor

from mpo_snn.errors import RecipeError, ShapeError

ENCODINGS = ("direct", "frames")


def encode(x: Tensor, timesteps: int, kind: str = "direct") -> Tensor:
    """Input of all timesteps, (time, batch, *features), from samples (batch, *features).

    `direct` shows the same analog values at every timestep; it is a view with time stride 0, by
    which `Unrolled` and the graph simulator see that it is constant. `frames` takes samples that
    have a time axis already, (batch, time, *features), such as framed events.

    Raises:
        RecipeError: if the kind is unknown.
        ShapeError: if the samples of `frames` do not have one frame for every timestep.
    """
    if kind == "direct":
        return x.expand(timesteps, *x.shape)
    if kind == "frames":
        if x.ndim < 3 or x.shape[1] != timesteps:
            raise ShapeError(
                f"cannot show samples of shape {tuple(x.shape[1:])} as frames: the encoding wants"
                f" {timesteps} frames, one for every timestep."
            )
        return x.transpose(0, 1)
    raise RecipeError(f"unknown encoding '{kind}': choose one of {', '.join(ENCODINGS)}.")
