"""Encoded images in Parquet files: train.parquet and test.parquet, columns `image` and `label`."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mpo_snn.data.part_name import PartName
from mpo_snn.data.source import Images
from mpo_snn.errors import DataError

_FILES: dict[PartName, tuple[str, ...]] = {
    "train": ("train.parquet",),
    "test": ("test.parquet", "val.parquet", "validation.parquet"),
}


def read(folder: Path, part: PartName, lossless: bool) -> Images:
    """One split; class names may stand in the schema's metadata, key `classes`, as JSON.

    Args:
        folder: holds the files.
        part: which split; val.parquet is a test split where there is no test.parquet.
        lossless: whether the published data is lossless, so that JPEG images must be named so.

    Raises:
        DataError: if a file is absent or damaged, an image cannot be decoded, or sizes differ.
    """
    path = next((folder / name for name in _FILES[part] if (folder / name).is_file()), None)
    if path is None:
        raise DataError(f"cannot use '{folder}': it has no {' or '.join(_FILES[part])}.")
    table, metadata = _read_table(path)
    encoded, labels = table
    pixels = _decode(path, encoded)
    note = _jpeg_note(encoded[0]) if lossless and encoded and encoded[0] else ""
    classes = _classes(path, metadata.get(b"classes", b"[]"))
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    y = torch.from_numpy(labels.astype(np.int64))
    return Images(x, y, classes, folder.resolve().name, f"'{path}'", note)


def _read_table(
    path: Path,
) -> tuple[tuple[list[bytes | None], NDArray[np.generic]], dict[bytes, bytes]]:
    import pyarrow
    import pyarrow.parquet

    try:
        schema = pyarrow.parquet.read_schema(path)
        missing = [name for name in ("image", "label") if name not in schema.names]
        if missing:
            raise DataError(
                f"cannot use '{path}': it has no column {', '.join(missing)}; it has"
                f" {', '.join(schema.names)}."
            )
        table = pyarrow.parquet.read_table(path, columns=["image", "label"])
        labels = table["label"].to_numpy()
    except (OSError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"cannot read '{path}': it is damaged ({reason[:120]}).") from error
    if labels.dtype.kind not in "iu":
        raise DataError(f"cannot use '{path}': column label is {labels.dtype}, not whole numbers.")
    images = table["image"].to_pylist()
    images = [row.get("bytes") if isinstance(row, dict) else row for row in images]
    encoded = [row if isinstance(row, bytes) else None for row in images]
    return (encoded, labels), schema.metadata or {}


def _classes(path: Path, text: bytes) -> tuple[str, ...]:
    """The names in the metadata of a schema."""
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list):
        raise DataError(
            f"cannot use '{path}': key classes of its schema's metadata is no list of names in"
            ' JSON, such as ["cat", "dog"].'
        )
    return tuple(map(str, names))


def _decode(path: Path, encoded: list[bytes | None]) -> NDArray[np.uint8]:
    """All images as (N, height, width, 3)."""
    pixels: NDArray[np.uint8] | None = None
    broken, other = [], []
    with ThreadPoolExecutor() as pool:
        for index, decoded in enumerate(pool.map(_pixels, encoded)):
            if decoded is None:
                broken.append(index)
                continue
            if pixels is None:
                pixels = np.zeros((len(encoded), *decoded.shape), np.uint8)
            if decoded.shape == pixels.shape[1:]:
                pixels[index] = decoded
            else:
                other.append(f"{decoded.shape[0]}x{decoded.shape[1]} (row {index})")
    found = []
    if broken:
        found.append(f"{len(broken)} rows hold no image, the first is row {broken[0]}.")
    if other and pixels is not None:
        found.append(
            f"{len(other)} images are not {pixels.shape[1]}x{pixels.shape[2]} as the first is:"
            f" {', '.join(other[:3])}."
        )
    if found:
        raise DataError(f"cannot use '{path}'", [f"'{path}': {finding}" for finding in found])
    return np.zeros((0, 1, 1, 3), np.uint8) if pixels is None else pixels


def _pixels(content: bytes | None) -> NDArray[np.uint8] | None:
    """(height, width, 3), None if the bytes are no image."""
    from PIL import Image, UnidentifiedImageError

    try:
        return np.asarray(Image.open(io.BytesIO(content or b"")).convert("RGB"))
    except (OSError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError):
        return None


def _jpeg_note(content: bytes) -> str:
    """`JPEG q75` for an image in JPEG: the quality for which libjpeg writes its tables."""
    from PIL import Image

    image: Any = Image.open(io.BytesIO(content))
    if image.format != "JPEG":
        return ""
    for quality in range(1, 101):
        stream = io.BytesIO()
        Image.new("L", (8, 8)).save(stream, "JPEG", quality=quality)
        same: Any = Image.open(stream)
        if same.quantization[0] == image.quantization[0]:
            return f"JPEG q{quality}"
    return "JPEG"
