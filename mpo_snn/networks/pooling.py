"""Pooling of spikes over windows: their mean, their sum, or their maximum."""

from __future__ import annotations

from torch import nn

from mpo_snn.errors import RecipeError
from mpo_snn.networks.settings import Pooling


def build_pooling(kind: Pooling, size: int | tuple[int, int]) -> nn.Module:
    """A pooling layer over windows that do not overlap.

    torch has no layer for a sum: it is an average pool that divides by 1.

    Args:
        kind: `average`, `sum`, or `max`, which export refuses.
        size: of a window, side or (height, width), in pixels.
    """
    if kind == "max":
        return nn.MaxPool2d(size)
    return nn.AvgPool2d(size, divisor_override=1 if kind == "sum" else None)


def refuse_max(network: str, kind: Pooling) -> None:
    """Refuse `max` for a network that has no windows to take it over.

    Raises:
        RecipeError: if the kind is `max`.
    """
    if kind == "max":
        raise RecipeError(
            f"{network}: network.pooling is max, but it has no pooling windows to take"
            " it over; use average or sum."
        )
