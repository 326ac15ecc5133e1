"""Encoded images in Parquet files, each row an image with its label.

Columns are `image` and `label`, or `img` and `fine_label` as the Hugging Face Hub has them for
CIFAR; its structs of bytes and path are taken as images too.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mpo_snn.data.parquet_files import files_of
from mpo_snn.data.part_name import PartName
from mpo_snn.data.source import Images
from mpo_snn.errors import DataError

_IMAGE, _LABEL = ("image", "img"), ("label", "fine_label")
_NONE = "hold no image"
_GREY = ("1", "L", "LA")
_EIGHT_BITS = (*_GREY, "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB")


@dataclass(frozen=True)
class _File:
    """What one file holds: encoded images, None where a row has none; labels; names of classes."""

    path: Path
    encoded: list[bytes | None]
    labels: NDArray[np.generic]
    classes: tuple[str, ...]


def read(folder: Path, part: PartName, lossless: bool) -> Images:
    """One split; images are grey, of one channel, where all of them are.

    Class names may stand in the schema's metadata: key `classes`, a list in JSON, or those of a
    ClassLabel in `huggingface`.

    Args:
        folder: holds the files.
        part: which split (`mpo_snn.data.parquet_files`).
        lossless: whether the published data is lossless, so that JPEG images must be named so.

    Raises:
        DataError: if a file is absent or damaged, an image cannot be decoded, or sizes differ.
    """
    paths = files_of(folder, part)
    files = [_read(path) for path in paths]
    encoded = [row for file in files for row in file.encoded]
    pixels = _decode(files)
    note = _jpeg_note(encoded[0]) if lossless and encoded and encoded[0] else ""
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    y = torch.from_numpy(np.concatenate([file.labels.astype(np.int64) for file in files]))
    where = f"'{paths[0]}'" + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
    return Images(x, y, files[0].classes, folder.resolve().name, where, note)


def _read(path: Path) -> _File:
    import pyarrow
    import pyarrow.parquet

    try:
        schema = pyarrow.parquet.read_schema(path)
        columns = [_column(schema.names, names) for names in (_IMAGE, _LABEL)]
        wanted = [name for name in columns if name is not None]
        missing = [
            " or ".join(names)
            for names, column in zip((_IMAGE, _LABEL), columns, strict=True)
            if column is None
        ]
        if missing:
            raise DataError(
                f"cannot use '{path}': it has no column {', nor '.join(missing)}; it has"
                f" {', '.join(schema.names)}."
            )
        table = pyarrow.parquet.read_table(path, columns=wanted)
        labels = table[wanted[1]].to_numpy()
    except (OSError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"cannot read '{path}': it is damaged ({reason[:120]}).") from error
    if labels.dtype.kind not in "iu":
        raise DataError(
            f"cannot use '{path}': column {wanted[1]} is {labels.dtype}, not whole numbers."
        )
    images = table[wanted[0]].to_pylist()
    images = [row.get("bytes") if isinstance(row, dict) else row for row in images]
    encoded = [row if isinstance(row, bytes) else None for row in images]
    return _File(path, encoded, labels, _classes(path, schema.metadata or {}, wanted[1]))


def _column(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    return next((name for name in wanted if name in names), None)


def _classes(path: Path, metadata: dict[bytes, bytes], label: str) -> tuple[str, ...]:
    """The names in the metadata of a schema; empty where it has none."""
    if b"classes" in metadata:
        names = _json(metadata[b"classes"])
        if not isinstance(names, list):
            raise DataError(
                f"cannot use '{path}': key classes of its schema's metadata is no list of names in"
                ' JSON, such as ["cat", "dog"].'
            )
        return tuple(map(str, names))
    found = _json(metadata.get(b"huggingface", b"{}"))
    for key in ("info", "features", label, "names"):
        found = found.get(key) if isinstance(found, dict) else None
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _json(text: bytes) -> Any:
    """The value, None where the text is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _decode(files: Sequence[_File]) -> NDArray[np.uint8]:
    """All images as (N, height, width, channels), whatever is wrong with them told at once."""
    encoded = [row for file in files for row in file.encoded]
    rows = [
        f"row {row} of '{file.path.name}'" for file in files for row in range(len(file.encoded))
    ]
    channels = 1 if all(_mode(row) in (*_GREY, None) for row in encoded) else 3
    pixels: NDArray[np.uint8] | None = None
    wrong: dict[str, list[str]] = {}
    with ThreadPoolExecutor() as pool:
        decoded = pool.map(lambda row: _pixels(row, channels), encoded)
        for index, (row, image) in enumerate(zip(rows, decoded, strict=True)):
            if isinstance(image, str):
                wrong.setdefault(image, []).append(row)
                continue
            if pixels is None:
                pixels = np.zeros((len(encoded), *image.shape), np.uint8)
            if image.shape == pixels.shape[1:]:
                pixels[index] = image
            else:
                size = f"are not {pixels.shape[1]}x{pixels.shape[2]} as the first image is"
                wrong.setdefault(size, []).append(f"{row}, {image.shape[0]}x{image.shape[1]}")
    if wrong:
        where = f"'{files[0].path if len(files) == 1 else files[0].path.parent}'"
        raise DataError(
            f"cannot use {where}",
            [
                f"{where}: {len(found)} rows {what}, the first is {found[0]}."
                for what, found in wrong.items()
            ],
        )
    return np.zeros((0, 1, 1, channels), np.uint8) if pixels is None else pixels


def _open(content: bytes | None) -> Any:
    """The image, of which only the head is read; None if the bytes are none."""
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(io.BytesIO(content or b""))
    except (OSError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError):
        return None


def _mode(content: bytes | None) -> str | None:
    image = _open(content)
    return None if image is None else str(image.mode)


def _pixels(content: bytes | None, channels: int) -> NDArray[np.uint8] | str:
    """(height, width, channels), or what is wrong with the image."""
    image = _open(content)
    if image is None:
        return _NONE
    if image.mode not in _EIGHT_BITS:
        return f"have more than 8 bits a channel ({image.mode})"
    try:
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (OSError, SyntaxError, ValueError):
        return _NONE
    return pixels.reshape(*pixels.shape[:2], channels)


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
