"""Energy profiles: what one operation costs on one piece of hardware, and who says so.

A profile is a TOML file. The name is that of the file without its suffix::

    schema_version = 1
    title = "45 nm CMOS, float32 arithmetic"
    notes = "what the figures leave out"

    [mac]                          # multiply-accumulate; required
    value_pj = 4.6                 # picojoule per operation
    unit = "pJ/MAC"                # spelt out, so that a file in nJ cannot pass unnoticed
    kind = "published table"       # measured | simulated | published table | system average
    source = "who published it, where"
    notes = "optional"

    [ac]                           # accumulate, unit "pJ/AC"; required
    [update]                       # one neuron, one timestep, unit "pJ/update"; optional

Constants of different kinds never add up to one total, so all constants of a profile are of one
kind.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpo_snn.errors import ProfileError

KINDS = ("measured", "simulated", "published table", "system average")
UNITS = {"mac": "pJ/MAC", "ac": "pJ/AC", "update": "pJ/update"}
DEFAULT_PROFILE = "45nm-float32"

_FOLDER = Path(__file__).parent / "energy"
_REQUIRED = ("mac", "ac")
_KEYS = {"value_pj", "unit", "kind", "source", "notes"}
_TOP_KEYS = {"schema_version", "title", "notes", *UNITS}


@dataclass(frozen=True)
class EnergyConstant:
    """The energy of one operation, with its provenance.

    Attributes:
        value_pj: energy of one operation in pJ, >= 0.
        unit: `pJ/MAC`, `pJ/AC` or `pJ/update`.
        kind: one of `KINDS`.
        source: citation.
        notes: what the figure contains and leaves out; may be empty.
    """

    value_pj: float
    unit: str
    kind: str
    source: str
    notes: str = ""


@dataclass(frozen=True)
class EnergyProfile:
    """The constants that turn operation counts into energy.

    Attributes:
        name: file name without suffix.
        title: one line for people.
        notes: what the profile leaves out.
        mac: multiply-accumulate (analog input).
        ac: accumulate (a spike meets a synapse).
        update: advancing one neuron by one timestep; None where the source has no figure.
    """

    name: str
    title: str
    notes: str
    mac: EnergyConstant
    ac: EnergyConstant
    update: EnergyConstant | None = None

    @property
    def kind(self) -> str:
        """The kind that all constants share."""
        return self.mac.kind


def profile_names() -> tuple[str, ...]:
    """Names of the shipped energy profiles, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def load_energy_profile(name: str | Path) -> EnergyProfile:
    """Load a shipped profile by name, or a user's by path.

    Args:
        name: a name out of `profile_names()`; anything with a folder in it or ending in `.toml`
            is a path.

    Raises:
        ProfileError: if there is no such profile, or it is not TOML, or something in it is
            missing, unknown, of another unit or out of range; all findings at once.
    """
    path = Path(name)
    if path.suffix != ".toml" and len(path.parts) == 1:
        path = _FOLDER / f"{name}.toml"
        if str(name) not in profile_names():
            raise ProfileError(
                f"unknown energy profile '{name}'. Available: {', '.join(profile_names())}; "
                "or give the path of a .toml file."
            )
    return _parse(path.stem, _read(path), str(path if path.parent != _FOLDER else name))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfileError(
            f"cannot read the energy profile '{path}': {error.strerror or error}."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"energy profile '{path}' is not TOML: {error}.") from error


def _parse(name: str, content: dict[str, Any], where: str) -> EnergyProfile:
    findings: list[str] = []
    if content.get("schema_version") != 1:
        findings.append(f"schema_version is {content.get('schema_version', 'missing')}, expected 1")
    title = _text(content, "title", "", findings)
    notes = _text(content, "notes", "", findings, default="")
    findings += [
        f"unknown key '{key}', allowed: {', '.join(sorted(_TOP_KEYS))}"
        for key in sorted(content.keys() - _TOP_KEYS)
    ]
    constants = {
        part: _constant(content.get(part), part, findings)
        for part in UNITS
        if part in content or part in _REQUIRED
    }
    kinds = {part: constant.kind for part, constant in constants.items() if constant}
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{part} is {kind}" for part, kind in kinds.items())
        findings.append(f"kinds are mixed ({told}), one total needs one kind")
    mac, ac = constants["mac"], constants["ac"]
    if findings or mac is None or ac is None:
        raise ProfileError(f"energy profile '{where}' is malformed", findings)
    return EnergyProfile(name, title, notes, mac, ac, constants.get("update"))


def _constant(table: Any, part: str, findings: list[str]) -> EnergyConstant | None:
    """The constant in table `[part]`, or None with what is wrong added to `findings`."""
    if not isinstance(table, dict):
        found = "missing" if table is None else f"{table!r}"
        findings.append(f"[{part}] is {found}, expected a table with {', '.join(sorted(_KEYS))}")
        return None
    before = len(findings)
    findings += [
        f"[{part}] has the unknown key '{key}', allowed: {', '.join(sorted(_KEYS))}"
        for key in sorted(table.keys() - _KEYS)
    ]
    value = table.get("value_pj")
    if isinstance(value, bool) or not isinstance(value, int | float):
        found = "missing" if value is None else repr(value)
        findings.append(f"[{part}] value_pj is {found}, expected a number of picojoules")
        value = 0.0
    elif not (math.isfinite(value) and value >= 0):
        findings.append(f"[{part}] value_pj is {value}, expected a finite number >= 0")
    unit = _text(table, "unit", part, findings)
    if unit and unit != UNITS[part]:
        findings.append(f"[{part}] unit is '{unit}', expected '{UNITS[part]}'")
    kind = _text(table, "kind", part, findings)
    if kind and kind not in KINDS:
        findings.append(f"[{part}] kind is '{kind}', expected one of {', '.join(KINDS)}")
    source = _text(table, "source", part, findings)
    notes = _text(table, "notes", part, findings, default="")
    if len(findings) > before:
        return None
    return EnergyConstant(float(value), unit, kind, source, notes)


def _text(
    table: dict[str, Any], key: str, part: str, findings: list[str], default: str | None = None
) -> str:
    """The text under `key`; "" with a finding where it is absent, empty or not text."""
    value = table.get(key, default)
    if isinstance(value, str) and (value.strip() or default is not None):
        return " ".join(value.split())
    found = "missing" if value is None else repr(value)
    findings.append(f"{f'[{part}] ' if part else ''}{key} is {found}, expected text")
    return ""
