"""What is read the same way from the tables of every profile; what is wrong becomes a finding."""

from __future__ import annotations

from collections.abc import Set
from typing import Any
from unicodedata import category


def version_findings(content: dict[str, Any]) -> list[str]:
    """A finding where the file is not of schema version 1."""
    version = content.get("schema_version")
    is_right = type(version) is int and version == 1
    return [] if is_right else [f"schema_version is {shown(version)}, expected 1"]


def text_of(
    entry: dict[str, Any],
    key: str,
    part: str,
    findings: list[str],
    default: str | None = None,
    expected: str = "text",
) -> str:
    """The text under `key`; "" with a finding where it is absent, empty or not plain text.

    Args:
        entry: what the table has.
        key: in it.
        part: name of the table; empty for the head of the file.
        findings: takes a line where something is wrong.
        default: where the key is absent; None: it has to be there.
        expected: what the finding calls allowed.
    """
    value = entry.get(key, default)
    if isinstance(value, str) and (value.strip() or default is not None):
        text = " ".join(value.split())
        if not any(category(letter) == "Cc" for letter in text):
            return text
        expected = f"{expected} without control characters"
    findings.append(f"{f'[{part}] ' if part else ''}{key} is {shown(value)}, expected {expected}")
    return ""


def unknown_keys(entry: dict[str, Any], known: Set[str], part: str) -> list[str]:
    """A finding for each key that is not known."""
    begin = f"[{part}] has the " if part else ""
    return [
        f"{begin}unknown key '{key}', allowed: {', '.join(sorted(known))}"
        for key in sorted(entry.keys() - known)
    ]


def shown(value: Any) -> str:
    """A value in a finding."""
    return "missing" if value is None else repr(value)
