"""The name of data of one's own, by what lies at its path."""

from __future__ import annotations

import tarfile

from mpo_snn.data.local_path import local_path
from mpo_snn.data.shard_index import find_index


def name_by_content(path: str | None) -> str | None:
    """`imagefolder` for image files and shards, `archive` for anything else; None for no path.

    Raises:
        DataError: if an index of shards lies there and cannot be read.
    """
    if path is None:
        return None
    if find_index(path) is not None:
        return "imagefolder"
    place = local_path(path)
    train = place / "train"
    has_images = train.is_dir() and not any(train.glob("*.parquet"))
    try:
        is_tar = place.is_file() and tarfile.is_tarfile(place)
    except OSError:  # told, with its path, where the data is read
        is_tar = False
    return "imagefolder" if has_images or is_tar else "archive"
