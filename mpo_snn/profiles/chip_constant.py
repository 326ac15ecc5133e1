"""One constant of a chip profile: its value, and who says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .chip_keys import ENERGY_UNITS, STATUSES, Flag, Rule
from .energy import KINDS
from .entries import shown, text_of, unknown_keys

_KEYS = {"value", "unit", "status", "source", "notes"}
_ENERGY_KEYS = _KEYS | {"kind", "low", "high"}
_MOST = 1e12
"""Of a time or an energy in its unit; whole numbers end there as well."""

Value = int | float | str | tuple[int, ...]


@dataclass(frozen=True)
class ChipConstant:
    """One value, with its provenance.

    Attributes:
        value: a number, a word, true or false, or whole numbers one for each core.
        unit: of the value; empty for a word, true and false.
        status: one of `STATUSES`.
        source: citation.
        notes: what the value contains or leaves out; may be empty.
        kind: of an energy, one of `mpo_snn.profiles.energy.KINDS`; else empty.
        low: of an energy, the lowest that sources give; the value itself where they agree.
        high: of an energy, the highest.
    """

    value: Value
    unit: str
    status: str
    source: str
    notes: str = ""
    kind: str = ""
    low: float | None = None
    high: float | None = None


def read_constant(
    entry: dict[str, Any], part: str, rule: Rule | None, findings: list[str]
) -> ChipConstant:
    """The constant of one table `[part]`; of no use where it adds to `findings`.

    Args:
        entry: what the table has.
        part: its name, such as `limit.hidden`.
        rule: what the value may be; any number from 0 to 1e12 where it is None.
        findings: takes a line for everything that is wrong.
    """
    is_energy = part.startswith("energy.")
    findings += unknown_keys(entry, _ENERGY_KEYS if is_energy else _KEYS, part)
    value: Any = entry.get("value")
    before = len(findings)
    if rule is None:
        value = _number(entry, "value", part, findings)
    elif not rule.is_right(value):
        findings.append(f"[{part}] value is {shown(value)}, expected {rule}")
    is_number = len(findings) == before
    unit = _unit(entry, part, rule, findings)
    status = text_of(entry, "status", part, findings)
    if status and status not in STATUSES:
        findings.append(f"[{part}] status is '{status}', expected one of {', '.join(STATUSES)}")
    source = text_of(entry, "source", part, findings)
    notes = text_of(entry, "notes", part, findings, default="")
    if not is_energy:
        plain = tuple(value) if isinstance(value, list) else value
        return ChipConstant(plain, unit, status, source, notes)
    kind = text_of(entry, "kind", part, findings)
    if kind and kind not in KINDS:
        findings.append(f"[{part}] kind is '{kind}', expected one of {', '.join(KINDS)}")
    before = len(findings)
    low = _number(entry, "low", part, findings, value)
    high = _number(entry, "high", part, findings, value)
    if is_number and len(findings) == before and not low <= value <= high:
        findings.append(f"[{part}] goes from {low} over {value} to {high}, which is no order")
    return ChipConstant(value, unit, status, source, notes, kind, low, high)


def _unit(entry: dict[str, Any], part: str, rule: Rule | None, findings: list[str]) -> str:
    """The unit, which is that of the key; words have none, and timings are free to choose."""
    if rule is not None and not rule.unit:
        if "unit" in entry:
            what = "true or false" if isinstance(rule, Flag) else "a word"
            findings.append(f"[{part}] unit is {shown(entry['unit'])}, {what} has none")
        return ""
    unit = text_of(entry, "unit", part, findings)
    table, _, name = part.partition(".")
    expected = rule.unit if rule else ENERGY_UNITS[name] if table == "energy" else unit
    if unit and unit != expected:
        findings.append(f"[{part}] unit is '{unit}', expected '{expected}'")
    return unit


def _number(
    entry: dict[str, Any], key: str, part: str, findings: list[str], default: float | None = None
) -> float:
    """The number under `key`; the default, or else 0 with a finding, where it is none."""
    value = entry.get(key, default)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if 0 <= value <= _MOST:
            return float(value)
    findings.append(f"[{part}] {key} is {shown(value)}, expected a number from 0 to {_MOST:g}")
    return 0.0 if default is None else default
