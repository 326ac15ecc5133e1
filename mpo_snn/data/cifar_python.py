"""CIFAR-10 and CIFAR-100 as published: pickled batches in a folder or a tar.gz.

A pickle can run code, so that only what such a batch is made of is let through: plain values and
NumPy arrays.
"""

from __future__ import annotations

import io
import pickle
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from mpo_snn.data.part_name import PartName
from mpo_snn.errors import DataError

_BATCHES: dict[str, dict[PartName, tuple[str, ...]]] = {
    "cifar10": {
        "train": tuple(f"data_batch_{number}" for number in range(1, 6)),
        "test": ("test_batch",),
    },
    "cifar100": {"train": ("train",), "test": ("test",)},
}
_NAMES = {"cifar10": "cifar-10-python", "cifar100": "cifar-100-python"}
_FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): lambda text, _: text.encode("latin1"),
}


def find(path: Path, name: str) -> Path | None:
    """The folder or tar.gz of this data set, at the path or below it; None if there is none."""
    if name not in _BATCHES:
        return None
    first = _BATCHES[name]["train"][0]
    if path.is_file():
        return path if tarfile.is_tarfile(path) and _has(path, first) else None
    for place in (path, path / _FOLDERS[name]):
        if (place / first).is_file():
            return place
    archive = path / f"{_NAMES[name]}.tar.gz"
    return archive if archive.is_file() else None


def read(path: Path, name: str, part: PartName) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, 3, 32, 32), uint8, and (fine) labels, int64, of one split.

    Raises:
        DataError: if a batch is absent, damaged, or holds something else.
    """
    content = _from_tar if path.is_file() else _from_folder
    pixels, labels = [], []
    for batch in _BATCHES[name][part]:
        where = f"'{path}', {batch}"
        try:
            values = _Plain(io.BytesIO(content(path, batch)), encoding="bytes").load()
            data = np.asarray(values[b"data"])
            found = values[b"fine_labels" if name == "cifar100" else b"labels"]
            if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
                raise ValueError(f"data is {data.dtype} of shape {data.shape}")
            labels.append(np.asarray(found, np.int64))
            pixels.append(data.reshape(-1, 3, 32, 32))
        except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"cannot read {where}: it is damaged ({error}).") from error
        except (OSError, tarfile.TarError, zlib.error) as error:
            raise DataError(f"cannot read {where}: {error}.") from error
        except (AttributeError, IndexError, ImportError) as error:
            raise DataError(f"cannot read {where}: it is no batch of pixels.") from error
    return torch.from_numpy(np.concatenate(pixels)), torch.from_numpy(np.concatenate(labels))


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Only what makes up an array.

        Raises:
            UnpicklingError: for anything else.
        """
        allowed = _ALLOWED.get((module, name))
        if allowed is None:
            raise pickle.UnpicklingError(f"it holds {module}.{name}")
        return allowed


def _has(path: Path, batch: str) -> bool:
    try:
        with tarfile.open(path) as archive:
            return any(PurePosixPath(name).name == batch for name in archive.getnames())
    except (OSError, EOFError, tarfile.TarError, zlib.error):
        return False


def _from_folder(path: Path, batch: str) -> bytes:
    return (path / batch).read_bytes()


def _from_tar(path: Path, batch: str) -> bytes:
    with tarfile.open(path) as archive:
        for member in archive:
            if PurePosixPath(member.name).name == batch and member.isfile():
                stream = archive.extractfile(member)
                return b"" if stream is None else stream.read()
    raise OSError("it is not there")
