"""The equivalence record as titled groups of facts and tables, whatever its depth.

The record belongs to the exporter; the report shows all of it without knowing its keys. What is
empty is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Rows:
    """A list of dictionaries as a table of texts; what nests deeper stands below it, in notes."""

    columns: list[str]
    rows: list[list[str]]
    notes: list[str]


@dataclass
class Group:
    """One dictionary of the record: its plain values, and its lists of dictionaries as tables."""

    title: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    tables: list[Rows] = field(default_factory=list)


def groups_of(record: dict[str, Any] | None) -> list[Group]:
    """The record itself as the first group, then each dictionary in it that holds tables."""
    return _groups(record or {}, "")


def _groups(part: dict[str, Any], title: str) -> list[Group]:
    group = Group(title)
    nested: list[Group] = []
    for key, value in part.items():
        name = key.replace("_", " ")
        if _is_table(value):
            group.tables.append(_table(value))
        elif isinstance(value, dict) and any(
            isinstance(inner, dict) or _is_table(inner) for inner in value.values()
        ):
            nested += _groups(value, f"{title}, {name}" if title else name)
        elif not _is_empty(value):
            group.facts.append((name, _text(value)))
    return [group, *nested]


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _is_empty(value: Any) -> bool:
    return value is None or value == [] or value == {}


def _table(rows: list[dict[str, Any]]) -> Rows:
    found = {key: value for row in rows for key, value in row.items() if not _is_empty(value)}
    columns = [key for key, value in found.items() if not isinstance(value, dict)]
    return Rows(
        [column.replace("_", " ") for column in columns],
        [[_text(row.get(column)) for column in columns] for row in rows],
        [
            f"{_text(next(iter(row.values())))}, {key.replace('_', ' ')}: {_text(value)}"
            for row in rows
            for key, value in row.items()
            if isinstance(value, dict)
        ],
    )


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:.10g}"
        case int():
            return f"{value:,}"
        case dict():
            pairs = value.items()
            return ", ".join(f"{key.replace('_', ' ')} {_text(part)}" for key, part in pairs)
        case list() | tuple():
            if any(isinstance(part, dict) for part in value):
                return f"{len(value):,}"
            return ", ".join(_text(part) for part in value)
        case _:
            return str(value)
