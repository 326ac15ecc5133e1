"""The data of a run as environment.json has it, and whether it is still there when it resumes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mpo_snn.data.class_names import first_difference
from mpo_snn.data.dataset import Dataset
from mpo_snn.data.digest import digest_of
from mpo_snn.errors import RunError
from mpo_snn.training.rundir import Run, read_environment

_SAMPLES = {
    "training samples": ("train_samples", "train_digest"),
    "samples evaluated on": ("evaluated_samples", "evaluated_digest"),
}


def describe_data(dataset: Dataset) -> dict[str, Any]:
    """What environment.json says of the data, as plain values.

    Raises:
        DataError: if a file that the digests look at cannot be read.
    """
    return {
        "title": dataset.title or dataset.name,
        "train_samples": len(dataset.train_y),
        "train_digest": digest_of(dataset.train_x, dataset.train_y),
        "evaluated_on": dataset.evaluated_on,
        "evaluated_samples": len(dataset.test_y),
        "evaluated_digest": digest_of(dataset.test_x, dataset.test_y),
        "input_scaling": dataset.input_scaling,
        "input_shape": list(dataset.input_shape),
        "class_names": list(dataset.class_names),
    }


def refuse_other_data(run: Run, dataset: Dataset) -> None:
    """Refuse to go on with a run on other data than it began with, as far as it was noted.

    Raises:
        RunError: naming all that differs.
        DataError: as `describe_data`.
    """
    found = differences(noted_data(run.path), describe_data(dataset))
    if found:
        raise RunError(
            f"cannot resume '{run.path}': the data is not what this run began with:"
            f" {'; '.join(found)}. Put it back as it was, or start a new run."
        )


def noted_data(path: Path) -> dict[str, Any]:
    """What the run directory `path` says of its data; empty where nothing was noted."""
    data = read_environment(path).get("data")
    return data if isinstance(data, dict) else {}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What two descriptions of data say differently, in words, `now` first.

    Only what both of them say counts: runs of earlier versions noted less.
    """
    before = {key: _like(value, before.get(key)) for key, value in now.items()}
    found: list[str] = []
    has_same_shape = now.get("input_shape") == before.get("input_shape")
    for what, (number, digest) in _SAMPLES.items():
        if now.get(number) != before.get(number):
            found.append(f"{now[number]} {what}, not {before[number]}")
        elif has_same_shape and now.get(digest) != before.get(digest):
            found.append(f"{what} with other content")
    if not has_same_shape:
        found.append(f"samples of {_shape(now)}, not {_shape(before)}")
    if now.get("input_scaling") != before.get("input_scaling"):
        found.append(f"input scaling {now['input_scaling']}, not {before['input_scaling']}")
    classes, known = now.get("class_names", ()), before.get("class_names", ())
    if len(classes) != len(known):
        found.append(f"{len(classes)} classes, not {len(known)}")
    elif (difference := first_difference(classes, known)) is not None:
        place, here, there = difference
        found.append(f"class {place} is '{here}', not '{there}'")
    return found


def _like(value: Any, other: Any) -> Any:
    """The other value, if it is of the same type."""
    return other if isinstance(other, type(value)) else value


def _shape(data: Mapping[str, Any]) -> str:
    return "x".join(map(str, data["input_shape"]))
