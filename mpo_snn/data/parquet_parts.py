"""The numbered parts of one split: `train-00000-of-00002.parquet` and its like."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mpo_snn.errors import DataError

_PART = re.compile(r"(?P<name>\w+?)-(?P<number>[0-9]+)-of-(?P<count>[0-9]+)(-[0-9a-f]+)?\.parquet")


def is_named(path: Path, name: str) -> bool:
    """Whether a file is called as a split is, or as a part of it."""
    matched = _PART.fullmatch(path.name)
    return path.name == f"{name}.parquet" or (matched is not None and matched["name"] == name)


def in_order(place: Path, name: str, files: list[Path]) -> list[Path]:
    """The files of a split by their numbers.

    Args:
        place: where they lie.
        name: of the split.
        files: all that are called so, at least one.

    Raises:
        DataError: if one of them is no file, parts are absent or out of range, or there are
            several sets of them.
    """
    strange = [path for path in files if not os.path.isfile(path)]
    if strange:
        what = "a folder" if os.path.isdir(strange[0]) else "no file that can be read"
        raise DataError(
            f"cannot use '{place}': '{strange[0].name}' is {what}, where the {name} split should"
            " be; give a folder with files."
        )
    parts = [(int(m["number"]), int(m["count"])) for path in files if (m := _matched(path))]
    if not parts:
        return files
    counts, numbers = {count for _, count in parts}, {number for number, _ in parts}
    if len(parts) < len(files) or len(counts) > 1 or len(numbers) < len(parts):
        raise DataError(
            f"cannot use '{place}': {len(files)} files say that they are the same {name} split,"
            f" {', '.join(path.name for path in files[:4])}; keep one set of them."
        )
    (count,) = counts
    beyond = [path for path, (number, _) in zip(files, parts, strict=True) if number >= count]
    if beyond:
        raise DataError(
            f"cannot use '{place}': '{beyond[0].name}' has a number that {count} parts do not"
            f" have; allowed is 0 to {count - 1}."
            if count
            else f"cannot use '{place}': '{beyond[0].name}' is one of 0 parts; fetch it again."
        )
    if len(numbers) < count:
        first = next(number for number in range(count) if number not in numbers)
        raise DataError(
            f"cannot use '{place}': of the {name} split {count - len(numbers)} parts are absent,"
            f" the first is number {first} ({files[0].name} is there); fetch them all."
        )
    return [path for _, path in sorted(zip(parts, files, strict=True))]


def _matched(path: Path) -> re.Match[str] | None:
    return _PART.fullmatch(path.name)
