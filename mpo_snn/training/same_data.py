"""The data of a run as environment.json has it, and whether it is still there when it resumes."""

from __future__ import annotations

from typing import Any

from mpo_snn.data.class_names import first_difference
from mpo_snn.data.dataset import Dataset
from mpo_snn.errors import RunError
from mpo_snn.training.rundir import Run, read_environment

_SAMPLES = {"train_samples": "training samples", "evaluated_samples": "samples evaluated on"}


def describe_data(dataset: Dataset) -> dict[str, Any]:
    """What environment.json says of the data, as plain values."""
    return {
        "title": dataset.title or dataset.name,
        "train_samples": len(dataset.train_y),
        "evaluated_on": dataset.evaluated_on,
        "evaluated_samples": len(dataset.test_y),
        "input_scaling": dataset.input_scaling,
        "input_shape": list(dataset.input_shape),
        "class_names": list(dataset.class_names),
    }


def refuse_other_data(run: Run, dataset: Dataset) -> None:
    """Refuse to go on with a run on other data than it began with, as far as it was noted.

    Raises:
        RunError: naming all that differs.
    """
    before, now = read_environment(run.path).get("data"), describe_data(dataset)
    if not isinstance(before, dict):
        return
    before = {key: before.get(key, value) for key, value in now.items()}
    found = [
        f"{now[key]} {what}, not {before[key]}"
        for key, what in _SAMPLES.items()
        if now[key] != before[key]
    ]
    if now["input_shape"] != before["input_shape"]:
        found.append(f"samples of {_shape(now)}, not {_shape(before)}")
    if now["input_scaling"] != before["input_scaling"]:
        found.append(f"input scaling {now['input_scaling']}, not {before['input_scaling']}")
    classes, known = now["class_names"], before["class_names"]
    if len(classes) != len(known):
        found.append(f"{len(classes)} classes, not {len(known)}")
    elif (difference := first_difference(classes, known)) is not None:
        number, here, there = difference
        found.append(f"class {number} is '{here}', not '{there}'")
    if found:
        raise RunError(
            f"cannot resume '{run.path}': the data is not what this run began with:"
            f" {'; '.join(found)}. Put it back as it was, or start a new run."
        )


def _shape(data: dict[str, Any]) -> str:
    return "x".join(map(str, data["input_shape"]))
