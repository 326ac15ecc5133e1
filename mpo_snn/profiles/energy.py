"""Energy profiles: what one operation costs on one piece of hardware, and who says so.

A profile is a TOML file. The name is that of the file without its suffix::

    schema_version = 1
    title = "45 nm CMOS, float32 arithmetic"
    notes = "what the figures leave out"

    [ac]                           # accumulate (a spike meets a synapse); required
    value_pj = 0.9                 # picojoule per operation
    low_pj = 0.1                   # both or neither: where sources disagree
    high_pj = 5.9
    unit = "pJ/AC"                 # spelt out, so that a file in nJ cannot pass unnoticed
    kind = "published table"       # one of KINDS
    source = "who published it, where; who says low, who says high"
    notes = "optional"

    [mac]                          # multiply-accumulate, unit "pJ/MAC"; optional
    [update]                       # one neuron, one timestep, unit "pJ/update"; optional

Constants of different kinds never add up to one total, so all constants of a profile are of one
kind:

- `measured`: on silicon, for this operation;
- `simulated`: by the designers, before there was silicon;
- `published table`: of a technology, for an operation alone;
- `system average`: power of a whole chip, shared out over its operations;
- `collected`: out of a survey, which does not say how each figure was got.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpo_snn.errors import ProfileError

from .entries import shown, text_of, unknown_keys, version_findings
from .toml_file import names_in, read_profile

KINDS = ("measured", "simulated", "published table", "system average", "collected")
UNITS = {"ac": "pJ/AC", "mac": "pJ/MAC", "update": "pJ/update"}
DEFAULT_PROFILE = "45nm-float32"

_FOLDER = Path(__file__).parent / "energy"
_REQUIRED = ("ac",)
_KEYS = {"value_pj", "low_pj", "high_pj", "unit", "kind", "source", "notes"}
_TOP_KEYS = {"schema_version", "title", "notes", *UNITS}
_MOST_PJ = 1e12
"""One joule; more for an operation is a slip of the pen."""


@dataclass(frozen=True)
class EnergyConstant:
    """The energy of one operation, with its provenance.

    Attributes:
        value_pj: energy of one operation in pJ, >= 0.
        unit: `pJ/MAC`, `pJ/AC` or `pJ/update`.
        kind: one of `KINDS`.
        source: citation.
        notes: what the figure contains and leaves out; may be empty.
        low_pj: the lowest that sources give, in pJ; the value itself where they agree.
        high_pj: the highest.
    """

    value_pj: float
    unit: str
    kind: str
    source: str
    notes: str
    low_pj: float
    high_pj: float


@dataclass(frozen=True)
class EnergyProfile:
    """The constants that turn operation counts into energy.

    Attributes:
        name: file name without suffix.
        title: one line for people.
        notes: what the profile leaves out.
        ac: accumulate (a spike meets a synapse).
        mac: multiply-accumulate (analog input); None where the hardware has none.
        update: advancing one neuron by one timestep; None where the source has no figure.
    """

    name: str
    title: str
    notes: str
    ac: EnergyConstant
    mac: EnergyConstant | None = None
    update: EnergyConstant | None = None

    @property
    def kind(self) -> str:
        """The kind that all constants share."""
        return self.ac.kind


def profile_names() -> tuple[str, ...]:
    """Names of the shipped energy profiles, sorted."""
    return names_in(_FOLDER)


def load_energy_profile(name: str | Path) -> EnergyProfile:
    """Load a shipped profile by name, or a user's by path.

    Args:
        name: a name out of `profile_names()`; anything with a folder in it or ending in `.toml`
            is a path.

    Raises:
        ProfileError: if there is no such profile, or it is not TOML, or something in it is
            missing, unknown, of another unit or out of range; all findings at once.
    """
    found = read_profile(name, _FOLDER, "energy profile")
    return _parse(found.name, found.content, found.where)


def _parse(name: str, content: dict[str, Any], where: str) -> EnergyProfile:
    findings = version_findings(content)
    title = text_of(content, "title", "", findings)
    notes = text_of(content, "notes", "", findings, default="")
    findings += unknown_keys(content, _TOP_KEYS, "")
    constants = {
        part: _constant(content.get(part), part, findings)
        for part in UNITS
        if part in content or part in _REQUIRED
    }
    kinds = {part: constant.kind for part, constant in constants.items() if constant}
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{part} is {kind}" for part, kind in kinds.items())
        findings.append(f"kinds are mixed ({told}), one total needs one kind")
    ac = constants["ac"]
    if findings or ac is None:
        raise ProfileError(f"energy profile '{where}' is malformed", findings)
    return EnergyProfile(name, title, notes, ac, constants.get("mac"), constants.get("update"))


def _constant(table: Any, part: str, findings: list[str]) -> EnergyConstant | None:
    """The constant in table `[part]`, or None with what is wrong added to `findings`."""
    if not isinstance(table, dict):
        keys = ", ".join(sorted(_KEYS))
        findings.append(f"[{part}] is {shown(table)}, expected a table with {keys}")
        return None
    before = len(findings)
    findings += unknown_keys(table, _KEYS, part)
    numbers = len(findings)
    value = _picojoule(table, "value_pj", part, findings)
    low = _picojoule(table, "low_pj", part, findings, value)
    high = _picojoule(table, "high_pj", part, findings, value)
    are_right = len(findings) == numbers
    alone = {"low_pj", "high_pj"} & table.keys()
    if len(alone) == 1:
        findings.append(f"[{part}] has {alone.pop()} alone, expected both low_pj and high_pj")
    if are_right and not low <= value <= high:
        findings.append(f"[{part}] goes from {low} over {value} to {high} pJ, which is no order")
    unit = text_of(table, "unit", part, findings, expected=f"'{UNITS[part]}'")
    if unit and unit != UNITS[part]:
        findings.append(f"[{part}] unit is '{unit}', expected '{UNITS[part]}'")
    kinds = f"one of {', '.join(KINDS)}"
    kind = text_of(table, "kind", part, findings, expected=kinds)
    if kind and kind not in KINDS:
        findings.append(f"[{part}] kind is '{kind}', expected {kinds}")
    source = text_of(table, "source", part, findings)
    notes = text_of(table, "notes", part, findings, default="")
    if len(findings) > before:
        return None
    return EnergyConstant(value, unit, kind, source, notes, low, high)


def _picojoule(
    table: dict[str, Any], key: str, part: str, findings: list[str], default: float | None = None
) -> float:
    """The number under `key`; the default, or else 0 with a finding, where it is none."""
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        findings.append(f"[{part}] {key} is {shown(value)}, expected a number of picojoules")
    elif not 0 <= value <= _MOST_PJ:
        findings.append(
            f"[{part}] {key} is {shown(value)}, expected a number from 0 to {_MOST_PJ:g}"
        )
    else:
        return float(value)
    return 0.0 if default is None else default
