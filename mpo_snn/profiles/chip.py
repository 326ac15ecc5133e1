"""Chip profiles: the limits, formats and costs of a chip, and who says so.

A profile is a TOML file. The name is that of the file without its suffix::

    schema_version = 1
    title = "SynSense Xylo Audio 3 (SYNS65302)"
    family = "xylo"                # which check, quantizer and arithmetic it gets: one of FAMILIES
    notes = "what the profile leaves out"

    [limit.hidden]                 # a key of the family, see chip_keys
    value = 992
    unit = "neurons"               # spelt out, so that a file in kB cannot pass unnoticed
    status = "source"              # one of STATUSES: how well it is known
    source = "who says it, where"
    notes = "optional"

    [timing.input_event]           # any name; a number from 0 to 1e12
    [energy.inference]             # a name out of ENERGY_UNITS, with that unit; and besides:
    kind = "measured"              # one of mpo_snn.profiles.energy.KINDS
    low = 6.0                      # optional, with high: where sources disagree
    high = 7.0
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpo_snn.errors import ProfileError

from .chip_constant import ChipConstant, read_constant
from .chip_keys import ENERGY_UNITS, KEYS
from .entries import plain, shown, text_of, unknown_keys, version_findings
from .toml_file import names_in, read_profile

FAMILIES = tuple(KEYS)
TABLES = ("neuron", "format", "limit", "timing", "energy")

_FOLDER = Path(__file__).parent / "chips"
_TOP_KEYS = {"schema_version", "title", "family", "notes", *TABLES}
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class ChipProfile:
    """A chip in numbers.

    Attributes:
        name: file name without suffix.
        title: one line for people.
        family: one of `FAMILIES`.
        notes: what the profile leaves out.
        tables: constants by table (`TABLES`) and name.
        file: all bytes of the file that says so; empty for a profile that was made otherwise.
    """

    name: str
    title: str
    family: str
    notes: str
    tables: Mapping[str, Mapping[str, ChipConstant]]
    file: bytes = field(default=b"", repr=False)

    def constant(self, key: str) -> ChipConstant:
        """The constant of a key such as `limit.hidden`.

        Raises:
            ProfileError: if the profile has none; only keys that are not required can be missing.
        """
        table, _, name = key.partition(".")
        try:
            return self.tables[table][name]
        except KeyError:
            raise ProfileError(
                f"chip profile '{self.name}' says nothing about '{key}'; it says"
                f" {', '.join(self.tables.get(table, ())) or 'nothing'} in [{table}]."
            ) from None

    def value(self, key: str) -> Any:
        """The plain value of a key: an int, a float, a word or a tuple of ints.

        Raises:
            ProfileError: as `constant`.
        """
        return self.constant(key).value

    def __contains__(self, key: object) -> bool:
        """Whether the profile says something about a key; what is not public is left out."""
        table, _, name = str(key).partition(".")
        return name in self.tables.get(table, ())


def chip_names() -> tuple[str, ...]:
    """Names of the shipped chip profiles, sorted."""
    return names_in(_FOLDER)


def load_chip_profile(name: str | Path) -> ChipProfile:
    """Load a shipped profile by name, or a user's by path.

    Args:
        name: a name out of `chip_names()`; anything with a folder in it or ending in `.toml` is a
            path.

    Raises:
        ProfileError: if there is no such profile, or it is not TOML, or something in it is
            missing, unknown, of another unit or out of range; all findings at once.
    """
    found = read_profile(name, _FOLDER, "chip profile")
    return _parse(found.name, found.content, found.where, found.file)


def chip_place(name: str) -> str:
    """A profile's name as it is, its path in full: right wherever it is read again."""
    path = Path(name)
    return str(path.absolute()) if path.suffix == ".toml" or len(path.parts) > 1 else name


def _parse(name: str, content: dict[str, Any], where: str, file: bytes = b"") -> ChipProfile:
    findings = version_findings(content)
    title = text_of(content, "title", "", findings)
    notes = text_of(content, "notes", "", findings, default="")
    findings += unknown_keys(content, _TOP_KEYS, "")
    family = text_of(content, "family", "", findings)
    if family and family not in FAMILIES:
        findings.append(f"family is '{family}', expected one of {', '.join(FAMILIES)}")
    tables = {table: _table(content, table, family, findings) for table in TABLES}
    if not findings:
        findings += _contradictions(tables)
    if findings:
        raise ProfileError(f"chip profile '{where}' is malformed", findings)
    return ChipProfile(name, title, family, notes, tables, file)


def _table(
    content: dict[str, Any], table: str, family: str, findings: list[str]
) -> dict[str, ChipConstant]:
    """All constants of one table; what is wrong goes to `findings`."""
    given = content.get(table, {})
    if not isinstance(given, dict):
        findings.append(f"{table} is {shown(given)}, expected tables such as [{table}.NAME]")
        return {}
    known = {
        key.partition(".")[2]: rule
        for key, rule in KEYS.get(family, {}).items()
        if key.startswith(f"{table}.")
    }
    for name, rule in known.items():
        if rule.required and name not in given:
            unit = f", unit '{rule.unit}'" if rule.unit else ""
            findings.append(f"[{table}.{name}] is missing, expected {rule}{unit}")
    if table == "timing":
        allowed = tuple(name for name in given if _NAME.fullmatch(name))
    else:
        allowed = tuple(ENERGY_UNITS if table == "energy" else known)
    constants = {}
    for name, entry in given.items():
        part = f"{table}.{plain(name)}"
        if name in allowed and isinstance(entry, dict):
            constants[name] = read_constant(entry, part, known.get(name), findings)
        elif name in allowed:
            findings.append(f"[{part}] is {shown(entry)}, expected a table with value, unit, ...")
        elif table == "timing":
            findings.append(f"[{part}] is no name, allowed are a-z, 0-9 and _")
        elif table == "energy" or family in FAMILIES:
            findings.append(f"[{part}] is unknown, allowed: {', '.join(allowed) or 'nothing'}")
    return constants


def _contradictions(tables: Mapping[str, Mapping[str, ChipConstant]]) -> list[str]:
    """Values that are right by themselves and cannot be together."""
    plain = {
        f"{table}.{name}": constant.value
        for table, constants in tables.items()
        for name, constant in constants.items()
    }
    findings = []
    for key in ("limit.kernel_memory", "limit.neuron_memory"):
        entries = plain.get(key)
        if isinstance(entries, tuple) and len(entries) != plain["limit.cores"]:
            findings.append(
                f"[{key}] has {len(entries)} values, expected one for each of the"
                f" {plain['limit.cores']} cores"
            )
    low, high = (plain.get(f"format.weight_exponent_{end}", 0) for end in ("low", "high"))
    if low > high:  # type: ignore[operator]
        findings.append(f"[format.weight_exponent_low] is {low}, above the high one of {high}")
    return findings
