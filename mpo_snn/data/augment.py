"""Augmentation of a batch of stored samples, every sample by draws of its own.

All draws come from torch's global random numbers on the CPU, so that who seeds them decides the
result, on whatever device the samples are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mpo_snn.data.settings import DataSettings
from mpo_snn.errors import DataError

Augment = Callable[[Tensor], Tensor]


def augmentation(settings: DataSettings, shape: Sequence[int]) -> Augment | None:
    """What the settings ask for, in the order crop, flip, AutoAugment, cutout; None for nothing.

    The function takes and gives stored samples, (batch, *any, height, width), of one type.

    Args:
        settings: of the data.
        shape: of a sample at one timestep, (channels, height, width).

    Raises:
        DataError: if nothing would be left of a picture.
    """
    side = min(shape[-2:])
    found = [
        f"data.{name} is {pixels}, allowed for pictures of {shape[-2]}x{shape[-1]} is up to {most}."
        for name, pixels, most in (
            ("crop", settings.crop, side // 2),
            ("cutout", settings.cutout, side),
        )
        if pixels > most
    ]
    if settings.autoaugment != "none" and shape[0] not in (1, 3):
        found.append(f"data.autoaugment takes pictures of 1 or 3 channels, these have {shape[0]}.")
    if found:
        raise DataError("cannot augment", found)
    steps: list[Augment] = []
    if settings.crop:
        steps.append(lambda x: random_crop(x, settings.crop))
    if settings.flip:
        steps.append(random_flip)
    if settings.autoaugment != "none":
        steps.append(_autoaugment(settings.autoaugment))
    if settings.cutout:
        steps.append(lambda x: cutout(x, settings.cutout))
    if not steps:
        return None

    def apply(x: Tensor) -> Tensor:
        for step in steps:
            x = step(x)
        return x

    return apply


def random_crop(x: Tensor, padding: int) -> Tensor:
    """Shift every sample by up to `padding` pixels in either direction; zeros come in.

    Args:
        x: (batch, *any, height, width); all axes between move alike.
        padding: of the picture, on every side, before it is cropped to its size.
    """
    height, width = x.shape[-2:]
    flat = x.reshape(len(x), -1, height, width)
    padded = functional.pad(flat, [padding] * 4)
    top, left = (_beside(x, torch.randint(2 * padding + 1, (len(x), 1))) for _ in range(2))
    rows = (top + _range(x, height))[:, None, :, None]
    columns = (left + _range(x, width))[:, None, None, :]
    sample = _range(x, len(x))[:, None, None, None]
    channel = _range(x, flat.shape[1])[None, :, None, None]
    return padded[sample, channel, rows, columns].reshape(x.shape)


def random_flip(x: Tensor) -> Tensor:
    """Mirror each sample left to right with probability 1/2."""
    flipped = _beside(x, torch.rand(len(x)) < 0.5)
    if x.device.type == "cpu":  # six times as fast as choosing pixel by pixel
        x = x.clone()
        for index in flipped.nonzero()[:, 0].tolist():
            x[index] = x[index].flip(-1)
        return x
    return torch.where(flipped.reshape(-1, *[1] * (x.ndim - 1)), x.flip(-1), x)


def cutout(x: Tensor, side: int) -> Tensor:
    """Blank a square of `side` pixels around a random pixel of each sample.

    T. DeVries and G. W. Taylor, Improved regularization of convolutional neural networks with
    cutout, 2017, arXiv:1708.04552; the square may reach over the border, as there.
    """
    height, width = x.shape[-2:]
    row, column = (_beside(x, torch.randint(size, (len(x), 1))) for size in (height, width))
    in_rows = (_range(x, height) - row + side // 2).clamp(-1, side) % (side + 1) < side
    in_columns = (_range(x, width) - column + side // 2).clamp(-1, side) % (side + 1) < side
    square = in_rows[:, :, None] & in_columns[:, None, :]
    middle = [1] * (x.ndim - 3)
    return x.masked_fill(square.reshape(len(x), *middle, height, width), 0)


def _beside(x: Tensor, draws: Tensor) -> Tensor:
    """Draws where the samples are; the device is not waited for."""
    return draws.to(x.device, non_blocking=True)


def _range(x: Tensor, size: int) -> Tensor:
    return torch.arange(size, device=x.device)


def _autoaugment(policy: str) -> Augment:
    """E. D. Cubuk et al., AutoAugment, CVPR 2019, arXiv:1805.09501, as torchvision has it."""
    from mpo_snn.operators import declare_torchvision_operators

    declare_torchvision_operators()
    from torchvision.transforms import v2

    transform = v2.AutoAugment(v2.AutoAugmentPolicy(policy))

    def apply(x: Tensor) -> Tensor:
        if x.dtype != torch.uint8 or x.ndim != 4:
            raise DataError(
                "cannot augment: data.autoaugment takes images of pixels 0 to 255, these samples"
                f" are {str(x.dtype).removeprefix('torch.')} of shape {tuple(x.shape[1:])}."
            )
        return torch.stack([transform(image) for image in x])

    return apply
