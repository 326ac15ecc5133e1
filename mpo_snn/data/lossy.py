"""Whether encoded images are exact, or what a codec left of them."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from mpo_snn.data.encoded_image import open_image

_JPEG, _TIFF = b"\xff\xd8", (b"II*\0", b"MM\0*")


def lossy_note(images: Iterable[bytes | None]) -> str:
    """How pixels differ from those that were encoded: that of the first image that is not exact.

    Args:
        images: as they are encoded; None where there is none.

    Returns:
        `JPEG q75` with the quality that its tables tell, `WebP`, `TIFF of JPEG`; empty if all
        images are exact.
    """
    return next((note for image in images if image and (note := _note(image))), "")


def _note(content: bytes) -> str:
    if content.startswith(_JPEG):
        return _jpeg_note(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "WebP" if _is_lossy_webp(content) else ""
    if content.startswith(_TIFF):
        image = open_image(content)
        is_jpeg = image is not None and image.info.get("compression") in ("jpeg", "tiff_jpeg")
        return "TIFF of JPEG" if is_jpeg else ""
    return ""


def _is_lossy_webp(content: bytes) -> bool:
    """Whether the first chunk of pixels is `VP8 `; lossless ones are `VP8L`."""
    place = 12
    while place + 8 <= len(content):
        kind = content[place : place + 4]
        if kind in (b"VP8 ", b"VP8L"):
            return kind == b"VP8 "
        length = int.from_bytes(content[place + 4 : place + 8], "little")
        # A frame of an animation has 16 bytes of its own, then chunks like these.
        place += 8 + (16 if kind == b"ANMF" else length + length % 2)
    return False


def _jpeg_note(content: bytes) -> str:
    """With the quality for which libjpeg writes the same table."""
    from PIL import Image

    image = open_image(content)
    if image is None:
        return ""
    for quality in range(1, 101):
        stream = io.BytesIO()
        Image.new("L", (8, 8)).save(stream, "JPEG", quality=quality)
        same: Any = Image.open(stream)
        if same.quantization[0] == image.quantization.get(0):
            return f"JPEG q{quality}"
    return "JPEG"
