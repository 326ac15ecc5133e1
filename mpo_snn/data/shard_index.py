"""`shards.json`: which tar shards a data set has, with the class of every image in them.

It lies beside the shards, in a folder or at an address, is written last, and so says that they are
complete:

    {"format": "mpo-snn shards", "version": 1, "classes": ["tench", ...],
     "train": [{"file": "train-000000.tar", "labels": [3, 0, ...]}, ...], "test": [...]}
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, cast

from mpo_snn.data.local_path import local_path
from mpo_snn.data.part_name import PartName
from mpo_snn.errors import DataError

INDEX = "shards.json"
FORMAT, VERSION = "mpo-snn shards", 1
_NAME = re.compile(r"[\w.+=,@-]+(/[\w.+=,@-]+)*")
"""File names that are taken from an index: none that leads out of its folder."""
_MOST_SHARDS = 10**6
_HOW = f"mpo-shards writes one: a shard's file and labels, and the classes ({INDEX})"

_ADDRESS = (
    f"An address must be that of a folder with {INDEX} and its shards, of its {INDEX}, or of a .tar"
    " in it; other data is given as a file or folder of this machine."
)


@dataclass(frozen=True)
class Shard:
    """One tar.

    Attributes:
        file: its name, relative to the index.
        labels: classes of its images, in the order in which they lie in it.
    """

    file: str
    labels: tuple[int, ...]


@dataclass(frozen=True)
class ShardIndex:
    """What `shards.json` says.

    Attributes:
        root: folder or address that holds index and shards, without a slash at its end.
        classes: their names, by label.
        train: shards of the training split.
        test: of the test split.
    """

    root: str
    classes: tuple[str, ...]
    train: tuple[Shard, ...]
    test: tuple[Shard, ...]

    def part(self, part: PartName) -> tuple[Shard, ...]:
        """The shards of a split."""
        return self.train if part == "train" else self.test


def is_address(path: str) -> bool:
    """Whether a path is an address of an object store or server, such as s3://bucket/folder."""
    return "://" in path


def open_place(root: str, name: str) -> IO[bytes]:
    """A file in a folder or at an address, for reading from its beginning.

    Raises:
        DataError: if it cannot be opened; for an address, by whatever fsspec's library for it says.
    """
    try:
        if not is_address(root):
            return (Path(root) / name).open("rb")
        import fsspec

        return cast(IO[bytes], fsspec.open(f"{root}/{name}", "rb").open())
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise DataError(f"cannot read '{root}/{name}': {reason}.") from error
    except FileNotFoundError as error:
        raise DataError(f"cannot read '{root}/{name}': it is not there.") from error
    except Exception as error:  # libraries of stores raise what they like: no key, no zip, ...
        if not is_address(root) and not isinstance(error, OSError | ValueError):
            raise
        reason = (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split())
        raise DataError(f"cannot read '{root}/{name}': {reason}.") from error


def find_index(path: str | None) -> ShardIndex | None:
    """The index of the shards that a path stands for; None if it stands for something else.

    Args:
        path: folder or address that holds the index, the index itself, or shards: one tar, or
            several in braces, `train-{000000..000099}.tar`; no others are trained on then.

    Raises:
        DataError: if there are shards without an index, or the index is damaged.
    """
    if path is None:
        return None
    root, _, last = path.rpartition("/") if is_address(path) else _split(path)
    if last == INDEX:
        return read_index(root)
    if not last.endswith(".tar"):
        whole = path.rstrip("/") if is_address(path) else str(local_path(path))
        return read_index(whole) if _holds_shards(whole) else None
    is_alone = not is_address(path) and "{" not in last
    if is_alone and not (Path(root) / INDEX).is_file():
        return None
    index = read_index(root)
    wanted = set(_expanded(last))
    chosen = tuple(shard for shard in index.train if shard.file in wanted)
    if is_alone and not chosen:
        return None
    absent = sorted(wanted - {shard.file for shard in (*index.train, *index.test)})
    if absent or not chosen:
        what = f"has no {absent[0]}" if absent else "says that none of them is for training"
        raise DataError(f"cannot use shards '{path}': the index '{root}/{INDEX}' {what}.")
    return ShardIndex(index.root, index.classes, chosen, index.test)


def read_index(root: str) -> ShardIndex:
    """The index in a folder or at an address.

    Raises:
        DataError: if it is absent or damaged.
    """
    where = f"{root}/{INDEX}"
    if not is_address(root) and not Path(where).is_file():
        raise DataError(f"cannot use the shards in '{root}': there is no {INDEX}. {_HOW}.")
    try:
        with _open_index(root) as stream:
            found: Any = json.load(stream)
        if found["format"] != FORMAT or found["version"] != VERSION:
            raise ValueError(f"it is '{found['format']}', version {found['version']}")
        classes = tuple(map(str, found["classes"]))
        splits = [_shards(found[part], len(classes)) for part in ("train", "test")]
    except DataError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        reason = f"it has no {reason}" if isinstance(error, KeyError) else reason
        raise DataError(
            f"cannot use '{where}': it is damaged or no index of shards ({reason}). {_HOW}."
        ) from error
    return ShardIndex(root, classes, *splits)


def _open_index(root: str) -> IO[bytes]:
    try:
        return open_place(root, INDEX)
    except DataError as error:
        if is_address(root) and isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            raise DataError(f"{error} {_ADDRESS}") from error.__cause__
        raise


def index_text(classes: Sequence[str], train: Sequence[Shard], test: Sequence[Shard]) -> str:
    """The index as text."""
    values = {"format": FORMAT, "version": VERSION, "classes": list(classes)}
    splits = {"train": [asdict(s) for s in train], "test": [asdict(s) for s in test]}
    return json.dumps({**values, **splits}, separators=(",", ":")) + "\n"


def _shards(found: Any, classes: int) -> tuple[Shard, ...]:
    shards = []
    for one in found:
        file, labels = str(one["file"]), tuple(one["labels"])
        if not _NAME.fullmatch(file) or ".." in file.split("/"):
            raise ValueError(f"'{file}' is no name of a file beside it")
        wrong = [v for v in labels if type(v) is not int or not 0 <= v < classes]
        if wrong:
            raise ValueError(
                f"{file} has {len(wrong)} unknown classes, the first is {wrong[0]!r}; there are"
                f" {classes} classes"
            )
        shards.append(Shard(file, labels))
    return tuple(shards)


def _split(path: str) -> tuple[str, str, str]:
    place = local_path(path)
    return str(place.parent), "/", place.name


def _holds_shards(root: str) -> bool:
    """Whether a folder holds an index, or shards that lack one; an address always does."""
    if is_address(root):
        return True
    folder = Path(root)
    if not folder.is_dir() or (folder / "train").is_dir():
        return False
    return (folder / INDEX).is_file() or next(folder.glob("*.tar"), None) is not None


def _expanded(pattern: str) -> list[str]:
    if "{" not in pattern:
        return [pattern]
    ends = re.findall(r"\{(\d+)\.\.(\d+)", pattern)
    if math.prod(abs(int(last) - int(first)) + 1 for first, last in ends) > _MOST_SHARDS:
        raise DataError(
            f"cannot read the pattern '{pattern}': it stands for more than {_MOST_SHARDS} shards."
        )
    from mpo_snn.data.shard_stream import webdataset

    try:
        return list(webdataset().shardlists.expand_urls(pattern))
    except ValueError as error:
        raise DataError(f"cannot read the pattern '{pattern}': {error}.") from error
