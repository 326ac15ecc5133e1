"""Encoded images as Pillow opens them, and what is not taken of what it would open.

Only formats that people keep images in: Pillow also knows EPS, for which it starts Ghostscript on
the bytes that it was given.
"""

from __future__ import annotations

import io
from typing import Any

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
FORMAT_NAMES = "PNG, JPEG, WebP, BMP, GIF, TIFF or PPM"
"""The same for errors."""
_EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB")
_TIFF_BITS_PER_SAMPLE = 258


def open_image(content: bytes | None) -> Any:
    """The image, of which only the head is read.

    Args:
        content: as it is encoded; None where there is none.

    Returns:
        a Pillow image; None if the bytes are no image in one of `FORMATS`.
    """
    from PIL import Image

    try:
        return Image.open(io.BytesIO(content or b""), formats=FORMATS)
    except MemoryError:
        raise
    except Exception:  # Pillow raises what it likes on damaged bytes
        return None


def convert_image(image: Any, mode: str) -> Any:
    """An opened image, decoded, in another mode; None if it cannot be decoded."""
    try:
        image.load()
        if image.mode == "P":  # whose transparency Pillow drops as well, but with a warning
            image.info.pop("transparency", None)
        return image.convert(mode)
    except MemoryError:
        raise
    except Exception:  # as in open_image
        return None


def what_is_deep(image: Any) -> str:
    """Words for an opened image with more than 8 bits a channel; empty if it has no more.

    Pillow clips such an image to white or black, or drops its lower bits, without a word.
    """
    if image.mode not in _EIGHT_BITS:
        return f"more than 8 bits a channel ({image.mode})"
    bits = _bits(image)
    return f"more than 8 bits a channel ({bits} in {image.format})" if bits > 8 else ""


def _bits(image: Any) -> int:
    """Bits a channel that the file has, where its image says 8."""
    if image.format == "TIFF":
        stated = image.tag_v2.get(_TIFF_BITS_PER_SAMPLE, (1,))
        return max(stated) if isinstance(stated, tuple) else int(stated)
    arguments = [image.tile[0].args] if image.tile else []
    if arguments and isinstance(arguments[0], tuple):
        arguments = list(arguments[0])
    if image.format == "PPM":
        return max([8, *(int(one).bit_length() for one in arguments if isinstance(one, int))])
    is_wide = any(isinstance(one, str) and one.endswith(";16B") for one in arguments)
    return 16 if is_wide else 8
