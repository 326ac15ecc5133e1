"""Finds out which format a path holds, by its content, and gives the reader of its splits."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from mpo_snn.data.known import Known
from mpo_snn.data.settings import DataSettings
from mpo_snn.errors import DataError

PartName = Literal["train", "test"]


@dataclass(frozen=True)
class Images:
    """One split as its file holds it.

    Attributes:
        x: (N, channels, height, width), uint8 or float32.
        y: labels, int64, (N,); not checked.
        classes: names of the classes, empty where the file does not say.
        title: what to call data that has no name of its own.
        where: file and place in it, for errors.
        note: how the pixels differ from the published ones, e.g. `JPEG q75`; empty if they do not.
    """

    x: Tensor
    y: Tensor
    classes: tuple[str, ...]
    title: str
    where: str
    note: str = ""


def find_source(settings: DataSettings, known: Known | None) -> Callable[[PartName], Images]:
    """The reader of what data.path holds.

    Raises:
        DataError: if there is no path, it cannot be read, or nothing that is known lies there.
    """
    from mpo_snn.data import npz_archive, parquet_archive

    path = wanted_path(settings, known.source if known else None)
    if zipfile.is_zipfile(path):
        return lambda part: npz_archive.read(path, part)
    if path.is_dir() and any(path.glob("*.parquet")):
        return lambda part: parquet_archive.read(path, part, lossless=known is not None)
    if path.is_dir() and len(npz := list(path.glob("*.npz"))) == 1:
        return lambda part: npz_archive.read(npz[0], part)
    what = "the folder holds" if path.is_dir() else "the file is"
    raise DataError(
        f"cannot use data set '{settings.name}' from '{path}': {what} none of: a .npz archive with"
        " x_train, y_train, x_test, y_test; train.parquet and test.parquet with columns image and"
        " label. If it should be one, it is damaged."
    )


def wanted_path(settings: DataSettings, source: str | None) -> Path:
    """The path that the settings give, which exists and can be read.

    Args:
        settings: of the data.
        source: where the data can be had, for who has none.

    Raises:
        DataError: otherwise.
    """
    if settings.path is None:
        hint = f"get it from {source} and" if source else "please"
        raise DataError(
            f"data set '{settings.name}' does not come with the package: {hint} say where it is"
            " with --data.path FILE_OR_FOLDER."
        )
    path = Path(settings.path).expanduser()
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            with path.open("rb"):
                pass
    except OSError as error:
        raise DataError(
            f"cannot read data set '{settings.name}' at '{path}': {error.strerror}; check"
            " --data.path."
        ) from error
    return path
