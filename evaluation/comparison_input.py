"""Reports as they are read back for a comparison: what it needs must be there, and make sense."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mpo_snn.errors import DataError
from mpo_snn.regular_file import open_regular
from mpo_snn.short_text import short

from .comparison import ABSENT, ADDED, ENERGIES, MUST_AGREE, ROWS, RUN, value_at
from .report import SCHEMA_VERSION

_VERDICTS = ("equal", "different", "not recorded")


def read_report(path: str | Path) -> dict[str, Any]:
    """A `report.json`, read back.

    Raises:
        DataError: if it cannot be read, is no report of this version, or lacks what is compared.
    """
    try:
        with open_regular(path) as stream:
            report = json.loads(stream.read().decode("utf-8-sig"))
    except OSError as error:
        raise DataError(f"cannot read '{path}': {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"cannot read '{path}': it is no JSON ({error}).") from error
    version = report.get("schema_version") if isinstance(report, dict) else None
    is_known = type(version) is int and version == SCHEMA_VERSION
    if not is_known or not isinstance(report.get("summary"), dict):
        raise DataError(
            f"cannot compare '{path}': it is no report of schema version {SCHEMA_VERSION}. Make it"
            " anew with mpo-evaluate."
        )
    found: dict[str, Any] = report
    faults = list(_faults(found))
    if faults:
        raise DataError(f"cannot compare '{path}', make it anew with mpo-evaluate", faults)
    return found


def _faults(report: dict[str, Any]) -> Iterator[str]:
    """What a comparison needs and does not find."""
    for key in dict.fromkeys((*(key for _, key, _ in ROWS), *ENERGIES.values())):
        value, most = value_at(report, key), 100.0 if key.endswith("_percent") else math.inf
        if value is not None and not _is_amount(value, most):
            yield _missing(key, value, f"null or a number from 0{' to 100' if most == 100 else ''}")
    yield from _range_faults(report)
    for key in dict.fromkeys(("summary.equivalence", *MUST_AGREE.values(), *RUN.values())):
        value = value_at(report, key)
        is_absent = value is ABSENT and key in ADDED
        is_right, expected = _KINDS.get(key, _TEXT)
        if not is_absent and not is_right(value):
            yield _missing(key, value, expected)
    steps = value_at(report, "decisions.timesteps")
    if not isinstance(steps, list) or not steps or not all(map(_is_step, steps)):
        yield _missing("decisions.timesteps", steps, "a list of timesteps with their accuracies")
    layers = report.get("layers")
    if not isinstance(layers, list):
        yield _missing("layers", report.get("layers", ABSENT), "a list")
        return
    for i, layer in enumerate(layers):
        name, density = (value_at({"layer": layer}, f"layer.{key}") for key in ("name", "density"))
        if not _is_text(name):
            yield _missing(f"layers.{i}.name", name, "text")
        if density is not None and not _is_amount(density):
            yield _missing(f"layers.{i}.density", density, "null or a number from 0")


def _range_faults(report: dict[str, Any]) -> Iterator[str]:
    """A range of energies that is upside down."""
    low, high = (value_at(report, ENERGIES[end]) for end in ("low_pj", "high_pj"))
    if _is_amount(low) and _is_amount(high) and low > high:
        yield (
            f"{ENERGIES['low_pj']} is {_shown(low)}, expected at most {ENERGIES['high_pj']},"
            f" {_shown(high)}"
        )


def _is_step(value: Any) -> bool:
    step = value if isinstance(value, dict) else {}
    return _is_amount(step.get("timestep")) and _is_amount(step.get("accuracy_percent"), 100.0)


def _is_amount(value: Any, most: float = math.inf) -> bool:
    """Whether something out of JSON is a number from 0 to `most` that a float holds."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return 0 <= value <= most and math.isfinite(value)
    except OverflowError:  # of a whole number
        return False


def _is_text(value: Any) -> bool:
    """Whether something out of JSON is text that can be written; half a character cannot."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_whole(value: Any, least: int) -> bool:
    return type(value) is int and value >= least and _is_amount(value)


_TEXT: tuple[Callable[[Any], bool], str] = (_is_text, "text")
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "summary.equivalence": (
        lambda value: isinstance(value, str) and value in _VERDICTS,
        f"one of {', '.join(_VERDICTS)}",
    ),
    "setting.samples": (lambda value: _is_whole(value, 0), "a whole number from 0"),
    "setting.timesteps": (lambda value: _is_whole(value, 1), "a whole number from 1"),
    "setting.dt_s": (lambda value: _is_amount(value) and value > 0, "a number above 0"),
    "setting.recompute_input": (lambda value: isinstance(value, bool), "true or false"),
}
"""What stands under a key that is not text: whether a value is that, and what it is called."""


def _missing(key: str, value: Any, expected: str) -> str:
    return f"{key} is {'missing' if value is ABSENT else _shown(value)}, expected {expected}"


def _shown(value: Any) -> str:
    """A value as a message shows it: cut where it would fill the screen."""
    try:
        return short(repr(value))
    except (ValueError, RecursionError):  # of a number with thousands of digits
        return "too long to be shown"
