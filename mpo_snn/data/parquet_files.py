"""Which Parquet files hold a split: one of its name, or the numbered parts of a larger one.

`train.parquet`, or `train-00000-of-00002.parquet` and its like as the Hugging Face Hub has them, in
the folder itself or in one below it.
"""

from __future__ import annotations

import re
from pathlib import Path

from mpo_snn.data.part_name import PartName
from mpo_snn.errors import DataError

_NAMES: dict[PartName, tuple[str, ...]] = {
    "train": ("train",),
    "test": ("test", "val", "valid", "validation"),
}
_PART = re.compile(r"(?P<name>\w+?)-(?P<number>\d+)-of-(?P<count>\d+)(-[0-9a-f]+)?\.parquet")


def has_parquet(folder: Path) -> bool:
    """Whether any lies in the folder or in one below it."""
    return any(any(folder.glob(pattern)) for pattern in ("*.parquet", "*/*.parquet"))


def files_of(folder: Path, part: PartName) -> list[Path]:
    """The files of a split, in order.

    Args:
        folder: where they lie, or the folder above.
        part: which split; `val` and its like are a test split where there is no `test`.

    Raises:
        DataError: if there are none, parts of it are absent, or several sets of them are there.
    """
    places = (folder, *sorted(p for p in folder.iterdir() if p.is_dir()))
    for name in _NAMES[part]:
        found = {place: files for place in places if (files := _named(place, name))}
        if len(found) > 1:
            raise DataError(
                f"cannot use '{folder}': its {part} split lies in more than one place,"
                f" {', '.join(repr(str(place)) for place in found)}; give one as --data.path."
            )
        for place, files in found.items():
            _refuse_gaps(place, name, files)
            return files
    names = " or ".join(f"{name}.parquet" for name in _NAMES[part])
    raise DataError(
        f"cannot use '{folder}': it has no {names}, nor {_NAMES[part][0]}-00000-of-00001.parquet"
        " and its like."
    )


def _named(place: Path, name: str) -> list[Path]:
    """The file or parts of this name, in order."""
    found = [path for path in sorted(place.glob(f"{name}-*.parquet")) if _is_part(path, name)]
    whole = place / f"{name}.parquet"
    return [whole, *found] if whole.is_file() else found


def _is_part(path: Path, name: str) -> bool:
    matched = _PART.fullmatch(path.name)
    return matched is not None and matched["name"] == name


def _refuse_gaps(place: Path, name: str, files: list[Path]) -> None:
    """Every part once, and nothing beside them."""
    matched = [m for path in files if (m := _PART.fullmatch(path.name))]
    if not matched:
        return
    counts = {int(m["count"]) for m in matched}
    numbers = [int(m["number"]) for m in matched]
    if len(matched) < len(files) or len(counts) > 1 or len(set(numbers)) < len(numbers):
        raise DataError(
            f"cannot use '{place}': {len(files)} files say that they are the same {name} split,"
            f" {', '.join(path.name for path in files[:4])}; keep one set of them."
        )
    absent = sorted(set(range(counts.pop())) - set(numbers))
    if absent:
        raise DataError(
            f"cannot use '{place}': of the {name} split {len(absent)} parts are absent, the first"
            f" is number {absent[0]} ({files[0].name} is there); fetch them all."
        )
