"""A value of a report by its path."""

from __future__ import annotations

from functools import reduce
from typing import Any


def look_up(report: Any, path: str) -> Any:
    """The value at a path such as `layers.0.density`."""
    return reduce(
        lambda part, key: part[int(key)] if isinstance(part, list) else part[key],
        path.split("."),
        report,
    )
