"""Finds out which format a path holds, by its content, and gives the reader of its splits."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from mpo_snn.data.download import can_fetch, fetch_data
from mpo_snn.data.image_files import ImageFiles, read_split
from mpo_snn.data.known import Known
from mpo_snn.data.local_path import local_path
from mpo_snn.data.parquet_files import has_parquet
from mpo_snn.data.part_name import PartName
from mpo_snn.data.settings import DataSettings
from mpo_snn.data.shard_index import ShardIndex, find_index
from mpo_snn.data.shards import Shards, Span
from mpo_snn.errors import DataError
from mpo_snn.regular_file import is_special

__all__ = ["Images", "PartName", "find_source", "wanted_path"]


@dataclass(frozen=True)
class Images:
    """One split as its file holds it.

    Attributes:
        x: (N, channels, height, width), uint8 or float32, or images that are read when wanted.
        y: labels, int64, (N,); not checked.
        classes: names of the classes, empty where the file does not say.
        title: what to call data that has no name of its own.
        where: file and place in it, for errors.
        note: how the pixels differ from the published ones, e.g. `JPEG q75`; empty if they do not.
    """

    x: Tensor | ImageFiles | Shards
    y: Tensor
    classes: tuple[str, ...]
    title: str
    where: str
    note: str = ""


def find_source(
    settings: DataSettings, known: Known | None, source: str | None
) -> Callable[[PartName], Images]:
    """The reader of what data.path holds.

    Args:
        settings: of the data.
        known: what is known of it, if it has a name.
        source: where it can be had, for who has none.

    Raises:
        DataError: if there is no path, it cannot be read, or nothing that is known lies there.
    """
    from mpo_snn.data import cifar_python, idx, npz_archive, parquet_archive

    if (index := find_index(settings.path)) is not None:
        return lambda part: _streamed(index, part, settings)
    path = wanted_path(settings, source)
    if (batches := cifar_python.find(path, settings.name)) is not None:
        return lambda part: _plain(batches, cifar_python.read(batches, settings.name, part))
    if path.is_dir() and (folder := idx.find(path)) is not None:
        return lambda part: _plain(folder, idx.read(folder, part))
    if _has_image_folders(path) or (path.is_file() and tarfile.is_tarfile(path)):
        return lambda part: _files(path, part)
    if zipfile.is_zipfile(path):
        return lambda part: npz_archive.read(path, part)
    if path.is_dir() and has_parquet(path):
        return lambda part: parquet_archive.read(path, part, lossless=known is not None)
    if path.is_file() and path.suffix == ".parquet":
        raise DataError(
            f"cannot use data set '{settings.name}' from '{path}': it is one Parquet file; give the"
            f" folder that holds those of both splits, such as --data.path '{path.parent}'."
        )
    npz = sorted(path.glob("*.npz")) if path.is_dir() else []
    if len(npz) == 1:
        return lambda part: npz_archive.read(npz[0], part)
    if npz:
        raise DataError(
            f"cannot use data set '{settings.name}' from '{path}': the folder holds {len(npz)} .npz"
            f" files; give the path of one, such as '{npz[0]}'."
        )
    what = "the folder holds" if path.is_dir() else "the file is"
    raise DataError(
        f"cannot use data set '{settings.name}' from '{path}': {what} none of: a .npz archive with"
        " x_train, y_train, x_test, y_test; train.parquet and test.parquet, or their numbered"
        " parts, with columns image and label; the published files; a folder or tar with"
        " train/CLASS/* and val/CLASS/*; a shards.json with its shards. If it should be one, it is"
        " damaged."
    )


def _has_image_folders(path: Path) -> bool:
    """Whether images lie in a folder for each class, not in Parquet files, in a folder `train`."""
    train = path / "train"
    return train.is_dir() and not any(train.glob("*.parquet"))


def _plain(path: Path, content: tuple[Tensor, Tensor]) -> Images:
    """A split of the published files, which do not repeat the names of the classes."""
    return Images(*content, classes=(), title=path.stem, where=f"'{path}'")


def _streamed(index: ShardIndex, part: PartName, settings: DataSettings) -> Images:
    spans = tuple(Span(shard, 0, len(shard.labels)) for shard in index.part(part))
    x = Shards(index.root, spans, buffer=settings.buffer, cache=settings.cache)
    title = index.root.rstrip("/").rpartition("/")[2]
    return Images(x, x.labels, index.classes, title=title, where=f"'{index.root}'")


def _files(path: Path, part: PartName) -> Images:
    return Images(*read_split(path, part), title=path.resolve().stem, where=f"'{path}'")


def wanted_path(settings: DataSettings, source: str | None) -> Path:
    """The path that the settings give: a file or folder that can be read.

    Args:
        settings: of the data.
        source: where the data can be had, for who has none.

    Raises:
        DataError: otherwise.
    """
    if settings.path is None and not settings.download:
        fetch = (
            ", or let mpo-train fetch it: --data.download true" if can_fetch(settings.name) else ""
        )
        hint = f"get it from {source} and" if source else "please"
        raise DataError(
            f"data set '{settings.name}' does not come with the package: {hint} say where it is"
            f" with --data.path FILE_OR_FOLDER{fetch}."
        )
    path = local_path("data" if settings.path is None else settings.path)
    if settings.download and not path.exists():
        fetch_data(settings, path)
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        elif is_special(path):
            raise DataError(
                f"cannot read data set '{settings.name}' at '{path}': it is neither a file nor a"
                " folder; check --data.path."
            )
        else:
            with path.open("rb") as stream:
                stream.read(1)
    except OSError as error:
        raise DataError(
            f"cannot read data set '{settings.name}' at '{path}': {error.strerror}; check"
            " --data.path."
        ) from error
    return path
