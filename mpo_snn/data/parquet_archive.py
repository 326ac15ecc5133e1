"""Encoded images in Parquet files, each row an image with its label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mpo_snn.data.class_names import differing
from mpo_snn.data.encoded_image import FORMAT_NAMES, convert_image, open_image, what_is_deep
from mpo_snn.data.lossy import lossy_note
from mpo_snn.data.parquet_files import files_of
from mpo_snn.data.parquet_table import ImageTable, read_table
from mpo_snn.data.part_name import PartName
from mpo_snn.data.source import Images
from mpo_snn.errors import DataError

_NONE = f"hold no image in {FORMAT_NAMES}"
_DAMAGED = "hold a damaged image"
_GREY = ("1", "L", "LA")


def read(folder: Path, part: PartName, lossless: bool) -> Images:
    """One split; images are grey, of one channel, where all of them are.

    Args:
        folder: holds the files.
        part: which split (`mpo_snn.data.parquet_files`).
        lossless: whether the published data is lossless, so that lossy images must be named so.

    Raises:
        DataError: if a file is absent or damaged, an image cannot be decoded, sizes differ, or
            files name other classes than each other.
    """
    paths = files_of(folder, part)
    tables = [read_table(path) for path in paths]
    classes = _common_classes(tables)
    pixels = _decode(tables)
    note = lossy_note(row for table in tables for row in table.encoded) if lossless else ""
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    y = torch.from_numpy(np.concatenate([table.labels for table in tables]))
    where = f"'{paths[0]}'" + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
    return Images(x, y, classes, folder.resolve().name, where, note)


def _common_classes(tables: Sequence[ImageTable]) -> tuple[str, ...]:
    """The names of those files that have any; empty where none has."""
    named = [table for table in tables if table.classes]
    for table in named[1:]:
        if table.classes != named[0].classes:
            raise DataError(
                f"cannot use '{table.path}': its labels are of other classes than those of"
                f" '{named[0].path}', {_difference(named[0].classes, table.classes)}; keep the"
                " files of one data set."
            )
    return named[0].classes if named else ()


def _difference(first: Sequence[str], other: Sequence[str]) -> str:
    found = differing(first, other) if len(first) == len(other) else None
    if found is None:
        return f"{len(other)} instead of {len(first)}"
    return f"class {found[0]} is '{found[2]}' instead of '{found[1]}'"


def _decode(tables: Sequence[ImageTable]) -> NDArray[np.uint8]:
    """All images as (N, height, width, channels), whatever is wrong with them told at once."""
    encoded = [row for table in tables for row in table.encoded]
    channels = 1 if all(_mode(row) in (*_GREY, None) for row in encoded) else 3
    pixels: NDArray[np.uint8] | None = None
    wrong: dict[str, list[str]] = {}
    with ThreadPoolExecutor() as pool:
        decoded = pool.map(lambda row: _pixels(row, channels), encoded)
        for index, (row, image) in enumerate(zip(_rows(tables), decoded, strict=True)):
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
        where = f"'{tables[0].path if len(tables) == 1 else tables[0].path.parent}'"
        raise DataError(
            f"cannot use {where}",
            [
                f"{where}: {len(found)} rows {what}, the first is {found[0]}."
                for what, found in wrong.items()
            ],
        )
    return np.zeros((0, 1, 1, channels), np.uint8) if pixels is None else pixels


def _rows(tables: Sequence[ImageTable]) -> Iterator[str]:
    for table in tables:
        for row in range(len(table.encoded)):
            yield f"row {row} of '{table.path.name}'"


def _mode(content: bytes | None) -> str | None:
    image = open_image(content)
    return None if image is None else str(image.mode)


def _pixels(content: bytes | None, channels: int) -> NDArray[np.uint8] | str:
    """(height, width, channels), or what is wrong with the image."""
    image = open_image(content)
    if image is None:
        return _NONE
    if deep := what_is_deep(image):
        return f"have {deep}"
    image = convert_image(image, "L" if channels == 1 else "RGB")
    if image is None:
        return _DAMAGED
    pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], channels)
