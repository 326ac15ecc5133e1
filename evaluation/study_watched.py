"""What a watched run wrote down over its epochs, read back as rows and as curves."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mpo_snn.errors import RunError
from mpo_snn.training.probe import GRADIENTS, HISTOGRAM
from mpo_snn.training.rundir import MEMBRANE, METRICS

from .study_results import measurement
from .study_runs import Outcome

_VOLT = ("mu", "sigma", "width")
MEMBRANE_FIGURES = {name: "V" for name in _VOLT} | {"height": "1", "rho": "1", "coverage": "1"}
"""What is taken from membrane.csv, and its unit."""


def watched_rows(outcome: Outcome) -> list[dict[str, Any]]:
    """The run's four tables as rows of the CSV file.

    Raises:
        RunError: if a table is missing or damaged, lacks a layer of an epoch, or has values that
            are no numbers or no shares.
    """
    rows: list[dict[str, Any]] = []
    epochs = range(1, outcome.trial.recipe.epochs + 1)
    for name, read in _TABLES.items():
        path = outcome.run.path / name
        try:
            with path.open(encoding="utf-8", newline="") as lines:
                found = [row for line in csv.DictReader(lines) for row in read(outcome, line)]
        except FileNotFoundError as error:
            raise RunError(f"cannot read '{path}': it is missing. {_ANEW}") from error
        except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
            raise RunError(f"cannot read '{path}': it is damaged. {_ANEW}") from error
        if wrong := _first_wrong(found, epochs):
            raise RunError(f"cannot read '{path}': {wrong}. {_ANEW}")
        rows += found
    return rows


def _first_wrong(rows: Sequence[Mapping[str, Any]], epochs: Iterable[int]) -> str | None:
    """What is wrong with the values of a table, or that some of them are absent."""
    places: dict[int, set[tuple[str, str]]] = {epoch: set() for epoch in epochs}
    if {row["epoch"] for row in rows} != places.keys():
        return "it does not hold every epoch"
    for row in rows:
        measure, value, epoch = row["measure"], row["value"], row["epoch"]
        is_share = measure in _SHARES
        if not math.isfinite(value) or (is_share and not 0.0 <= value <= 1.0):
            return f"{measure} of epoch {epoch} is {value:g}"
        places[epoch].add((measure, row.get("layer", "")))
    everything = set().union(*places.values())
    for epoch, found in places.items():
        if absent := sorted(everything - found):
            measure, layer = absent[0]
            return f"epoch {epoch} has no {measure} of '{layer}'"
    return None


def _of_metrics(outcome: Outcome, line: dict[str, str]) -> list[dict[str, Any]]:
    epoch = int(line["epoch"])
    return [
        measurement(outcome, name, float(line[name]), "1", epoch=epoch)
        for name in ("train_loss", "train_accuracy", "test_accuracy")
    ]


def _of_membranes(outcome: Outcome, line: dict[str, str]) -> list[dict[str, Any]]:
    where = {"epoch": int(line["epoch"]), "layer": line["layer"]}
    return [
        measurement(outcome, name, float(line[name]), unit, **where)
        for name, unit in MEMBRANE_FIGURES.items()
    ]


def _of_gradients(outcome: Outcome, line: dict[str, str]) -> list[dict[str, Any]]:
    where = {"epoch": int(line["epoch"]), "layer": line["weight"].removesuffix(".weight")}
    return [measurement(outcome, "gradient_norm", float(line["gradient_norm"]), "1", **where)]


def _of_histogram(outcome: Outcome, line: dict[str, str]) -> list[dict[str, Any]]:
    where = {"epoch": int(line["epoch"]), "layer": line["layer"]}
    level, share = float(line["threshold_multiple"]), float(line["share"])
    return [measurement(outcome, "membrane_share", share, "1", level=level, **where)]


_TABLES = {
    METRICS: _of_metrics,
    MEMBRANE: _of_membranes,
    GRADIENTS: _of_gradients,
    HISTOGRAM: _of_histogram,
}
_SHARES = ("train_accuracy", "test_accuracy", "rho", "coverage", "membrane_share")
_ANEW = "Delete its run directory to train anew."


class Seen:
    """The rows, found by measure, configuration and layer."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take rows as `watched_rows` gives them."""
        self._found: dict[tuple[str, str, str], dict[tuple[int, float], list[float]]] = {}
        for row in rows:
            key = (row["measure"], row["configuration"], row.get("layer", ""))
            place = (row["epoch"], row.get("level", 0.0))
            self._found.setdefault(key, {}).setdefault(place, []).append(row["value"])

    def layers(self, measure: str, configuration: str | None = None) -> list[str]:
        """Layers that have the measure, of one configuration or all, in the order they come in."""
        found = (
            layer
            for name, of, layer in self._found
            if name == measure and configuration in (None, of)
        )
        return list(dict.fromkeys(found))

    def curve(self, measure: str, configuration: str, layer: str = "") -> dict[float, list[float]]:
        """By epoch, the values of all seeds."""
        found = self._found.get((measure, configuration, layer), {})
        return {float(epoch): values for (epoch, _), values in found.items()}

    def shares(self, configuration: str, layer: str, epoch: int, seeds: int) -> dict[float, float]:
        """By bin, the share of the membrane, mean over seeds."""
        found = self._found.get(("membrane_share", configuration, layer), {})
        return {bin: sum(v) / seeds for (when, bin), v in found.items() if when == epoch}
