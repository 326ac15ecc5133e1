"""An encoded image as the pixels that a network is shown: a part of it, brought to a size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from mpo_snn.data.encoded_image import FORMAT_NAMES, convert_image, open_image, what_is_deep
from mpo_snn.errors import DataError

_RESIZED = 256 / 224
"""Shorter side before the central crop, as a multiple of the size, as is usual for ImageNet."""
_LONGEST = 4
"""Longer side, as a multiple of the shorter, of which anything can be seen in the central crop."""
_ALLOWED = f"allowed is {FORMAT_NAMES}"


def decode(content: bytes, name: str) -> Any:
    """An image in RGB.

    Args:
        content: as it is encoded.
        name: what to call it in an error.

    Raises:
        DataError: if it cannot be decoded, or has more than 8 bits a channel.
    """
    image = open_image(content)
    if image is None:
        raise DataError(f"cannot read '{name}': it is no image, or damaged; {_ALLOWED}.")
    if deep := what_is_deep(image):
        raise DataError(f"cannot use '{name}': it has {deep}; convert it to 8.")
    image = convert_image(image, "RGB")
    if image is None:
        raise DataError(f"cannot read '{name}': it is a damaged image.")
    return image


def parts_of(images: Iterable[Any], size: int, at_random: bool = False) -> Tensor:
    """What is shown of images in RGB: (N, 3, size, size), uint8, channels last as decoded.

    Args:
        images: one after another.
        size: height and width.
        at_random: a random part of each at a random size, not its centre.
    """
    part = _random_part if at_random else _central_part
    return torch.stack([_pixels(part(image, size)) for image in images]).permute(0, 3, 1, 2)


def _central_part(image: Any, size: int) -> Any:
    """The shorter side resized, the centre cut out."""
    short = max(size, round(size * _RESIZED))
    width, height = image.size
    if (width, height) != (size, size):
        image = _without_far_ends(image)
        width, height = image.size
        scale = short / min(width, height)
        image = image.resize((math.ceil(width * scale), math.ceil(height * scale)), _bilinear())
        left, top = (image.width - size) // 2, (image.height - size) // 2
        image = image.crop((left, top, left + size, top + size))
    return image


def _without_far_ends(image: Any) -> Any:
    """A strip that is resized as a whole would fill the memory with what no crop shows."""
    width, height = image.size
    longest = _LONGEST * min(width, height)
    if max(width, height) <= longest:
        return image
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return image.crop((left, top, left + min(width, longest), top + min(height, longest)))


def _random_part(image: Any, size: int) -> Any:
    """8 to 100 % of the area, aspect ratio 3/4 to 4/3 (torchvision's RandomResizedCrop)."""
    return _resized_crop(size)(image)


@lru_cache(maxsize=8)
def _resized_crop(size: int) -> Any:
    from mpo_snn.operators import declare_torchvision_operators

    declare_torchvision_operators()
    from torchvision.transforms import v2

    return v2.RandomResizedCrop(size, antialias=True)


def _pixels(image: Any) -> Tensor:
    import numpy as np

    return torch.from_numpy(np.array(image))


def _bilinear() -> Any:
    from PIL import Image

    return Image.Resampling.BILINEAR
