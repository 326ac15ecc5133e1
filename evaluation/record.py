"""The equivalence record as facts and tables, whatever its depth.

The record belongs to the exporter; the report shows all of it without knowing its keys.
"""

from __future__ import annotations

from typing import Any

from .quantities import ABSENT


def facts_and_tables(record: dict[str, Any] | None) -> dict[str, list[Any]]:
    """Split a record of nested dictionaries into what reads as a list and what as a table.

    Returns:
        `facts`: pairs of a name and a text; `tables`: dictionaries with `title`, `columns` and
        `rows` of texts, one for every list of dictionaries.
    """
    facts: list[tuple[str, str]] = []
    tables: list[dict[str, Any]] = []
    _collect(record or {}, "", facts, tables)
    return {"facts": facts, "tables": tables}


def _collect(
    part: dict[str, Any], path: str, facts: list[tuple[str, str]], tables: list[dict[str, Any]]
) -> None:
    for key, value in part.items():
        name = f"{path}{key.replace('_', ' ')}"
        if isinstance(value, dict) and value:
            _collect(value, f"{name}, ", facts, tables)
        elif isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            tables.append(_table(name.removesuffix(", layers"), value))
        else:
            facts.append((name, _text(value)))


def _table(title: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Columns in which every row is empty are left out."""
    columns = list(
        dict.fromkeys(key for row in rows for key, value in row.items() if value is not None)
    )
    return {
        "title": title,
        "columns": [column.replace("_", " ") for column in columns],
        "rows": [[_text(row.get(column)) for column in columns] for row in rows],
    }


def _text(value: Any) -> str:
    match value:
        case None:
            return ABSENT
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.10g}"
        case int():
            return f"{value:,}"
        case dict():
            return ", ".join(
                f"{key.replace('_', ' ')} {_text(part)}" for key, part in value.items()
            )
        case list() | tuple():
            if any(isinstance(part, dict) for part in value):
                return f"{len(value):,}"
            return ", ".join(_text(part) for part in value) or ABSENT
        case _:
            return str(value)
