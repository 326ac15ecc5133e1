"""What a network asks of its samples, checked before anything is built."""

from __future__ import annotations

from collections.abc import Sequence

from mpo_snn.errors import RecipeError


def image_of(network: str, shape: Sequence[int], halvings: int) -> tuple[int, int, int]:
    """The (channels, height, width) of a sample that is halved `halvings` times.

    Raises:
        RecipeError: naming the network and the shape, if a sample is no image or too small.
    """
    least = 2**halvings
    if len(shape) != 3 or min(shape) < 1:
        raise RecipeError(
            f"{network}: samples have shape {tuple(shape)}, expected images (channels, height,"
            " width); network.name mlp takes samples of any shape."
        )
    channels, height, width = shape
    if min(height, width) < least:
        raise RecipeError(
            f"{network}: samples have shape {tuple(shape)}, but it halves images {halvings} times"
            f" and needs {least}x{least} pixels or more; use larger images, or network.name convnet"
            " with few network.channels."
        )
    return channels, height, width
