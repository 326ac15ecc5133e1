"""Images in MNIST's own IDX files, packed with gzip or not.

A file is a magic number (two zero bytes, the type, 8 for bytes, and the number of axes), the size
of every axis as a big-endian 32-bit number, and the values (Y. LeCun, C. Cortes and C. Burges).
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mpo_snn.data.part_name import PartName
from mpo_snn.errors import DataError

_STEM: dict[PartName, str] = {"train": "train", "test": "t10k"}
_BYTES = 8


def find(folder: Path) -> Path | None:
    """The folder that holds the files: this one, or one that torchvision makes below it."""
    for place in (folder, folder / "raw", *folder.glob("*/raw")):
        if any(place.glob("*-images-idx3-ubyte*")):
            return place
    return None


def read(folder: Path, part: PartName) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, 1, height, width), uint8, and labels, int64, of one split.

    Raises:
        DataError: if a file is absent or damaged.
    """
    images = _read(folder, f"{_STEM[part]}-images-idx3-ubyte", 3)
    labels = _read(folder, f"{_STEM[part]}-labels-idx1-ubyte", 1)
    return torch.from_numpy(images)[:, None], torch.from_numpy(labels.astype(np.int64))


def _read(folder: Path, name: str, axes: int) -> NDArray[np.uint8]:
    path = next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
    if path is None:
        raise DataError(f"cannot use '{folder}': it has no {name} or {name}.gz.")
    try:
        packed = path.read_bytes()
        content = gzip.decompress(packed) if path.suffix == ".gz" else packed
        zeros, kind, found = struct.unpack(">HBB", content[:4])
        shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DataError(f"cannot read '{path}': it is damaged ({error}).") from error
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
    if (zeros, kind, found) != (0, _BYTES, axes) or values.size != int(np.prod(shape)):
        raise DataError(f"cannot read '{path}': it is damaged, its head does not fit its length.")
    return values.reshape(shape).copy()
