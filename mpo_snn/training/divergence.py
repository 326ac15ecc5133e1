"""What is said when the loss stops being a number, and the search for the layer to blame."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mpo_snn.errors import MpoError
from mpo_snn.unroll import Unrolled

_LOWER_LR = "A lower optimizer.lr, or optimizer.warmup_epochs, often helps."


class DivergedError(MpoError):
    """The loss became NaN or infinite; what was saved before is untouched."""


def first_broken_layer(unrolled: Unrolled, x: Tensor) -> str | None:
    """Where numbers first stop being finite when x, (time, batch, *features), runs through.

    Returns:
        the input itself, or the name of the first neuron layer with such a membrane, in words and
        with a way out; None if every membrane is finite.
    """
    if not bool(torch.isfinite(x).all()):
        return "the input has values that are not finite."
    broken: list[str] = []

    def look(name: str, spk: Tensor, v: Tensor) -> None:
        if not bool(torch.isfinite(v).all()):
            broken.append(name)

    with torch.no_grad():
        unrolled(x, observe=look)
    if not broken:
        return None
    return f"the first layer with a membrane that is not finite is '{broken[0]}'. {_LOWER_LR}"


def first_broken_part(task: Tensor, added: Mapping[str, Tensor]) -> str:
    """Which part of the loss stops being finite, where every membrane is finite, in words.

    Args:
        task: loss of the task.
        added: what is added to it, by name, without its weight.
    """
    if not bool(torch.isfinite(task)):
        return f"every membrane is finite, the read-out behind them is not. {_LOWER_LR}"
    parts = ", ".join(f"{name} {float(value.detach()):g}" for name, value in added.items())
    return (
        "every membrane is finite and so is the loss of the task; what is added to it is not:"
        f" {parts}, each times its weight. Smaller weights in mpo or rival, or a lower"
        " optimizer.lr, help."
    )
