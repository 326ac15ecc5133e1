"""Encoded images: which formats are opened, how many bits they may have, and damaged bytes."""

from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from mpo_snn.data import load_dataset
from mpo_snn.data.encoded_image import convert_image, open_image, what_is_deep
from mpo_snn.data.image_parts import decode
from mpo_snn.data.lossy import lossy_note
from mpo_snn.data.settings import DataSettings
from mpo_snn.errors import DataError

GREY = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def encoded(pixels: Any, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def png(depth: int, colour: int, row: bytes) -> bytes:
    """A PNG of 1x1 by its specification: `colour` 0 is grey, 2 RGB, 6 RGBA."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 1, 1, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


DEEP = {
    "grey PNG": png(16, 0, b"\x12\x34"),
    "RGB PNG": png(16, 2, b"\x12\x34" * 3),
    "RGBA PNG": png(16, 6, b"\x12\x34" * 4),
    "RGB PPM": b"P6 1 1 65535\n" + b"\x12\x34" * 3,
    "RGB PPM of 10 bits": b"P6 1 1 1023\n" + b"\x02\x34" * 3,
    "grey TIFF": encoded(GREY.astype(np.uint16) * 200, "TIFF"),
    "float TIFF": encoded(GREY.astype(np.float32) / 255, "TIFF"),
}


def refused_file(content: bytes) -> str:
    with pytest.raises(DataError) as caught:
        decode(content, "cat.png")
    return str(caught.value)


def write_folder(folder: Path, rows: list[bytes]) -> Path:
    for name in ("train", "test"):
        table = pyarrow.table({"image": rows, "label": [0] * len(rows)})
        pyarrow.parquet.write_table(table, folder / f"{name}.parquet")
    return folder


def refused_rows(folder: Path, rows: list[bytes]) -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(DataSettings("archive", str(write_folder(folder, rows))))
    return str(caught.value)


@pytest.mark.parametrize("kind", list(DEEP))
def test_more_than_8_bits_are_refused_alike_everywhere(kind: str, tmp_path: Path) -> None:
    assert "cat.png': it has more than 8 bits a channel (" in refused_file(DEEP[kind])
    assert "1 rows have more than 8 bits a channel (" in refused_rows(tmp_path, [DEEP[kind]])


def test_8_bits_of_the_same_formats_are_exact() -> None:
    for kind in ("PNG", "PPM", "TIFF", "BMP"):
        assert np.array_equal(np.asarray(decode(encoded(COLOUR, kind), "x")), COLOUR)
    assert decode(png(8, 2, b"\1\2\3"), "x").getpixel((0, 0)) == (1, 2, 3)
    assert decode(encoded(GREY, "WEBP", lossless=True), "x").getpixel((0, 0)) == (GREY[0, 0],) * 3


def test_a_palette_with_transparency_is_opaque_and_no_warning() -> None:
    stream = io.BytesIO()
    palette = Image.fromarray(COLOUR).quantize(16)
    palette.save(stream, "PNG", transparency=bytes(range(0, 256, 16)))
    expected = np.asarray(palette.convert("RGB"))
    assert np.array_equal(np.asarray(decode(stream.getvalue(), "x")), expected)


def test_no_program_is_started_for_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow gives EPS to the first `gs` of the path."""
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\necho started >> {tmp_path}/log\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", str(program))
    content = encoded(COLOUR, "EPS")
    with pytest.raises(OSError):
        Image.open(io.BytesIO(content)).convert("RGB")
    (tmp_path / "log").unlink()
    assert "it is no image, or damaged; allowed is PNG, JPEG," in refused_file(content)
    assert "1 rows hold no image in PNG, JPEG," in refused_rows(tmp_path, [content])
    assert not (tmp_path / "log").exists()


def damaged(seed: int, count: int) -> list[bytes]:
    """Images of every format with some bytes changed, and half of them cut off."""
    draw = random.Random(seed)
    whole = [
        encoded(pixels, kind)
        for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "ICO", "TGA", "PCX", "SGI")
        for pixels in (GREY, COLOUR)
    ]
    found = []
    for _ in range(count):
        content = bytearray(draw.choice(whole))
        for _ in range(draw.choice((1, 2, 8))):
            content[draw.randrange(min(len(content), draw.choice((40, 10**6))))] = draw.choice(
                (0, 255, draw.randrange(256))
            )
        found.append(
            bytes(content[: draw.randrange(len(content)) if draw.random() < 0.3 else None])
        )
    return found


@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_are_no_image_or_an_image() -> None:
    taken = 0
    for content in damaged(0, 3000):
        image = open_image(content)
        if image is not None and not what_is_deep(image):
            taken += convert_image(image, "RGB") is not None
    assert 300 < taken < 2900


def test_a_palette_of_another_type_is_a_damaged_image() -> None:
    """Pillow raises OverflowError for a TIFF whose colour map (tag 320) is of signed bytes."""
    stream = io.BytesIO()
    Image.fromarray(GREY).convert("P").save(stream, "TIFF")
    entry = struct.pack("<HH", 320, 3)
    assert stream.getvalue().count(entry) == 1
    content = stream.getvalue().replace(entry, struct.pack("<HH", 320, 6))
    with pytest.raises(OverflowError):
        Image.open(io.BytesIO(content)).convert("RGB")
    assert refused_file(content) == "cannot read 'cat.png': it is a damaged image."


def test_any_row_that_is_not_exact_makes_the_data_lossy() -> None:
    exact = [encoded(COLOUR, "PNG"), encoded(COLOUR, "WEBP", lossless=True), encoded(GREY, "TIFF")]
    assert lossy_note([*exact, None, b"damaged"]) == ""
    jpeg = encoded(COLOUR, "JPEG", quality=61)
    assert lossy_note([*exact, jpeg, encoded(COLOUR, "JPEG", quality=30)]) == "JPEG q61"
    webp = encoded(COLOUR, "WEBP", quality=80)
    alpha = encoded(np.dstack([COLOUR, GREY]), "WEBP", quality=80)
    assert lossy_note([*exact, webp, jpeg]) == lossy_note([alpha]) == "WebP"
    assert lossy_note([encoded(COLOUR, "TIFF", compression="jpeg")]) == "TIFF of JPEG"
    assert lossy_note([encoded(np.dstack([COLOUR, GREY]), "WEBP", lossless=True)]) == ""
