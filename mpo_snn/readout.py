"""Turns the output of all timesteps into one score per class."""

from __future__ import annotations

from torch import Tensor

from mpo_snn.errors import RecipeError

READOUTS = ("mean", "sum", "last")


def read_out(logits: Tensor, kind: str = "mean") -> Tensor:
    """Scores (batch, classes) from the outputs of all timesteps, (time, batch, classes).

    Raises:
        RecipeError: if the kind is unknown.
    """
    if kind == "mean":
        return logits.mean(0)
    if kind == "sum":
        return logits.sum(0)
    if kind == "last":
        return logits[-1]
    raise RecipeError(f"unknown readout '{kind}': choose one of {', '.join(READOUTS)}.")
