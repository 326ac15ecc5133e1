"""What is said when the loss stops being a number, and the search for the layer to blame."""

from __future__ import annotations

import torch
from torch import Tensor

from mpo_snn.errors import MpoError
from mpo_snn.unroll import Unrolled


class DivergedError(MpoError):
    """The loss became NaN or infinite; what was saved before is untouched."""


def first_broken_layer(unrolled: Unrolled, x: Tensor) -> str:
    """Where numbers first stop being finite when x, (time, batch, *features), runs through.

    Returns:
        the name of the first neuron layer with such a membrane, in words; if there is none, that
        the read-out behind the last one is it; or the input itself.
    """
    if not bool(torch.isfinite(x).all()):
        return "the input has values that are not finite"
    broken: list[str] = []

    def look(name: str, spk: Tensor, v: Tensor) -> None:
        if not bool(torch.isfinite(v).all()):
            broken.append(name)

    with torch.no_grad():
        unrolled(x, observe=look)
    if broken:
        return f"the first layer with a membrane that is not finite is '{broken[0]}'"
    return "every membrane is finite, the read-out behind them is not"
