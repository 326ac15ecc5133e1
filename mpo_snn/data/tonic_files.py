"""Event data in the published files, read by tonic (extra `events`)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mpo_snn.data.framing import Events
from mpo_snn.data.part_name import PartName
from mpo_snn.errors import DataError

_KIND = {
    "nmnist": "NMNIST",
    "dvs128_gesture": "DVSGesture",
    "cifar10_dvs": "CIFAR10DVS",
    "shd": "SHD",
}
_INSIDE = {
    "nmnist": {"train": "Train", "test": "Test"},
    "dvs128_gesture": {"train": "ibmGestureTrain", "test": "ibmGestureTest"},
    "cifar10_dvs": {"train": "airplane", "test": "airplane"},
    "shd": {"train": "shd_train.h5", "test": "shd_test.h5"},
}
_TRAINING_SHARE = 0.9
"""CIFAR10-DVS has no test split: the first 90 % of every class train, as is usual."""


def tonic_datasets() -> Any:
    """Tonic's module of data sets.

    Raises:
        DataError: if tonic is not installed.
    """
    try:
        import tonic.datasets
    except ImportError as error:
        raise DataError(
            "events in their published files are read by tonic, which is not installed:"
            " pip install 'mpo-snn[events]'."
        ) from error
    return tonic.datasets


def read_recordings(path: Path, name: str, part: PartName) -> Iterator[tuple[Events, int]]:
    """Events and label of every recording of a split, one after another.

    Args:
        path: folder that holds what _INSIDE names, or such a folder below it.
        name: which data set.
        part: which split.

    Raises:
        DataError: if nothing is there, or a recording is damaged.
    """
    inside = _INSIDE[name][part]
    places = (path / inside, *sorted(path.glob(f"*/{inside}")))
    root = next((place.parent for place in places if place.exists()), None)
    if root is None:
        raise DataError(f"cannot use '{path}' as data set '{name}': it has no {inside}.")
    kind = getattr(tonic_datasets(), _KIND[name])
    # tonic fetches what it finds incomplete; here the files are taken as they are.
    local = type(
        kind.__name__,
        (kind,),
        {
            "_check_exists": lambda self: True,
            "location_on_system": property(lambda self: str(root), lambda self, value: None),
        },
    )
    try:
        choice = {} if name == "cifar10_dvs" else {"train": part == "train"}
        recordings = local(str(root), **choice)
        order = _order(recordings, name, part)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"cannot use '{root}' as data set '{name}': {_line(error)}.") from error
    for index in order:
        where = recordings.data[index] if recordings.data else f"{root / inside}, {index}"
        try:
            events, label = recordings[index]
            yield _events(events, name), int(label)
        except (OSError, ValueError, KeyError, IndexError, RuntimeError, struct.error) as error:
            reason = f"it is damaged ({_line(error)})"
            raise DataError(f"cannot read recording '{where}': {reason}.") from error


def _order(recordings: Any, name: str, part: PartName) -> list[int]:
    """Numbers of the recordings of a split, by label, then by file name."""
    if name == "shd":
        return list(range(len(recordings)))
    labels, files = recordings.targets, recordings.data
    order = sorted(range(len(files)), key=lambda i: (labels[i], len(files[i]), files[i]))
    if name != "cifar10_dvs":
        return order
    chosen: list[int] = []
    for label in sorted(set(labels)):
        members = [index for index in order if labels[index] == label]
        first = int(_TRAINING_SHARE * len(members))
        chosen += members[:first] if part == "train" else members[first:]
    return chosen


def _events(events: Any, name: str) -> Events:
    order = np.argsort(events["t"], kind="stable")
    x, p, t = (events[key][order] for key in "xpt")
    if name == "shd":
        return Events(x, np.zeros(len(x), int), np.zeros(len(x), int), t)
    return Events(x, events["y"][order], p, t)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120]
