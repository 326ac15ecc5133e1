"""Turns the output of all timesteps into one score per class.

`mean`, `sum` and `last` read the logits of a network that ends in a dense layer. `spike_count` is
for one that ends in a layer of neurons: the score of a class is the number of its neuron's spikes.
Counts are whole numbers from 0 to T, so they tie; the answer is the lowest class among the largest
scores, in training, verification and evaluation alike (`torch.argmax`).
"""

from __future__ import annotations

from torch import Tensor

from mpo_snn.errors import RecipeError

READOUTS = ("mean", "sum", "last", "spike_count")


def read_out(logits: Tensor, kind: str = "mean") -> Tensor:
    """Scores (batch, classes) from the outputs of all timesteps, (time, batch, classes).

    Raises:
        RecipeError: if the kind is unknown.
    """
    if kind == "mean":
        return logits.mean(0)
    if kind in ("sum", "spike_count"):
        return logits.sum(0)
    if kind == "last":
        return logits[-1]
    raise _unknown(kind)


def read_out_over_time(logits: Tensor, kind: str = "mean") -> Tensor:
    """Scores if the inference ended at each timestep, (time, batch, classes).

    Scores are comparable within a timestep only: those of `mean` are not yet divided by it.

    Raises:
        RecipeError: if the kind is unknown.
    """
    if kind in ("mean", "sum", "spike_count"):
        return logits.cumsum(0)
    if kind == "last":
        return logits
    raise _unknown(kind)


def _unknown(kind: str) -> RecipeError:
    return RecipeError(f"unknown readout '{kind}': choose one of {', '.join(READOUTS)}.")
