"""Which Parquet files hold a split: one of its name, or the numbered parts of a larger one.

`train.parquet`, or `train-00000-of-00002.parquet` and its like as the Hugging Face Hub has them, in
the folder itself or in one below it; each split may also lie in a folder of its own name.
"""

from __future__ import annotations

import os
from pathlib import Path

from mpo_snn.data.parquet_parts import in_order, is_named
from mpo_snn.data.part_name import PartName
from mpo_snn.errors import DataError

_NAMES: dict[PartName, tuple[str, ...]] = {
    "train": ("train",),
    "test": ("test", "val", "valid", "validation"),
}
_OTHER: dict[PartName, PartName] = {"train": "test", "test": "train"}


def has_parquet(folder: Path) -> bool:
    """Whether any lies in the folder or in one below it."""
    return any(path.suffix == ".parquet" for place in _places(folder) for path in _listed(place))


def files_of(folder: Path, part: PartName) -> list[Path]:
    """The files of a split, in order.

    Args:
        folder: where they lie, or the folder above.
        part: which split; `val` and its like are a test split where there is no `test`.

    Raises:
        DataError: if there are none, parts of it are absent, several sets of them are there, or
            the other split lies elsewhere.
    """
    name, found = _found(folder, part)
    if len(found) > 1:
        raise DataError(
            f"cannot use '{folder}': its {part} split lies in more than one place,"
            f" {', '.join(repr(str(place)) for place in found)}; give one as --data.path."
        )
    for place, files in found.items():
        _refuse_strangers(folder, part, place)
        return in_order(place, name, files)
    names = " or ".join(f"{name}.parquet" for name in _NAMES[part])
    raise DataError(
        f"cannot use '{folder}': it has no {names}, nor {_NAMES[part][0]}-00000-of-00001.parquet"
        " and its like."
    )


def _found(folder: Path, part: PartName) -> tuple[str, dict[Path, list[Path]]]:
    """The first name of the split that there is, and its files by their places."""
    places = _places(folder)
    for name in _NAMES[part]:
        named = {place: [p for p in _listed(place) if is_named(p, name)] for place in places}
        if found := {place: files for place, files in named.items() if files}:
            return name, found
    return _NAMES[part][0], {}


def _refuse_strangers(folder: Path, part: PartName, place: Path) -> None:
    """Two configurations of a data set, each with one split, are not one."""
    other = _OTHER[part]
    theirs = list(_found(folder, other)[1])
    if not theirs or place in theirs or _home(folder, theirs[0]) == _home(folder, place):
        return
    lie = {part: place, other: theirs[0]}
    raise DataError(
        f"cannot use '{folder}': its splits lie in more than one place, train in '{lie['train']}',"
        f" test in '{lie['test']}'; put what belongs together into one folder."
    )


def _home(folder: Path, place: Path) -> Path:
    """Where a data set lies of which one split lies here."""
    is_of_one_split = any(place.name in names for names in _NAMES.values())
    return folder if is_of_one_split else place


def _places(folder: Path) -> list[Path]:
    """The folder and those below it, but hidden ones, which caches and repositories are."""
    below = (path for path in _listed(folder) if not path.name.startswith("."))
    return [folder, *(path for path in below if os.path.isdir(path))]


def _listed(place: Path) -> list[Path]:
    """What lies there; nothing where it may not be seen."""
    try:
        return sorted(place.iterdir())
    except OSError:
        return []
