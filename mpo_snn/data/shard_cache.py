"""Shards of an address, kept in a folder so that they are fetched once."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from mpo_snn.data.shard_index import open_place
from mpo_snn.errors import DataError
from mpo_snn.files import make_folder, replace_file


def kept(root: str, file: str, cache: Path) -> Path:
    """The file in the cache, fetched where it is not there yet, as a whole or not at all.

    Args:
        root: address of the shards.
        file: name of one.
        cache: folder; each address has one of its own in it.

    Raises:
        DataError: if the shard cannot be fetched.
        OutputError: if the disk refuses.
    """
    path = cache / hashlib.sha256(root.encode()).hexdigest()[:16] / file
    if path.is_file():
        return path
    make_folder(path.parent)
    with replace_file(path) as scratch, scratch.open("wb") as target:
        try:
            with open_place(root, file) as source:
                shutil.copyfileobj(source, target, 1 << 20)
        except DataError:
            raise
        except Exception as error:  # libraries of stores raise what they like
            raise DataError(f"cannot fetch '{root}/{file}': {error}.") from error
    return path
