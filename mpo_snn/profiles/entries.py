"""What is read the same way from the tables of every profile; what is wrong becomes a finding."""

from __future__ import annotations

import math
from collections.abc import Set
from reprlib import Repr
from typing import Any
from unicodedata import category

_UNSEEN = {"Cc": "control characters", "Cf": "format characters"}
"""Kinds of characters that change how a terminal or a page shows the others, or show nothing."""
_MOST_DIGITS = 20


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
        unseen = {kind for letter in text if (kind := _UNSEEN.get(category(letter)))}
        if not unseen:
            return text
        expected = f"{expected} without {' and '.join(sorted(unseen))}"
    findings.append(f"{f'[{part}] ' if part else ''}{key} is {shown(value)}, expected {expected}")
    return ""


def unknown_keys(entry: dict[str, Any], known: Set[str], part: str) -> list[str]:
    """A finding for each key that is not known."""
    begin = f"[{part}] has the " if part else ""
    return [
        f"{begin}unknown key {quoted(key)}, allowed: {', '.join(sorted(known))}"
        for key in sorted(entry.keys() - known)
    ]


def shown(value: Any) -> str:
    """A value in a finding, in one line whatever it is; of long ones the beginning and the end."""
    return "missing" if value is None else _VALUES.repr(value)


def quoted(name: str) -> str:
    """A key or the name of a table in quotes; what a terminal would not show is escaped."""
    return f"'{plain(name)}'"


def plain(name: str) -> str:
    """A key or the name of a table; what a terminal would not show is escaped."""
    return name if name.isprintable() else repr(name)[1:-1]


class _Values(Repr):
    """Python's `repr`, which has an end."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxdict = 3, 20, 20
        self.maxstring = self.maxother = 200

    def repr_int(self, x: int, level: int) -> str:
        """Its digits; of a long one only how many: Python does not even write those of 4,300."""
        size = abs(x)
        if size < 10**_MOST_DIGITS:
            return repr(x)
        digits = int(size.bit_length() * math.log10(2))  # or one more
        digits += size >= 10**digits
        return f"a whole number of {digits:,} digits{' below 0' if x < 0 else ''}"


_VALUES = _Values()
