"""Shows which chips there are, and what a profile says about one, as calm tables."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mpo_snn.profiles.chip import (
    TABLES,
    ChipProfile,
    chip_names,
    load_chip_profile,
)
from mpo_snn.profiles.chip_constant import ChipConstant

_FAMILIES = {
    "xylo": ("inputs", "hidden", "outputs"),
    "speck": ("cores",),
    "loihi": ("cores", "neurons"),
    "spinnaker2": ("elements", "neurons_per_element"),
    "fixed_point": ("neurons", "synapses"),
}
"""Which limits say how large the chips of a family are."""
_LONGEST = 16
"""Characters of a list that still stands among the values."""


def chip_list() -> RenderableType:
    """One line for each shipped profile: name, title, formats and size."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("name", no_wrap=True)
    table.add_column("chip", overflow="fold")
    table.add_column("weights", no_wrap=True)
    table.add_column("size", overflow="fold")
    for name in chip_names():
        profile = load_chip_profile(name)
        sizes = [
            f"{profile.value(f'limit.{limit}'):,} {limit.replace('_', ' ')}"
            for limit in _FAMILIES[profile.family]
            if f"limit.{limit}" in profile
        ]
        table.add_row(
            name,
            Text(profile.title),
            f"{profile.value('format.weight_bits')} bits",
            ", ".join(sizes) or "that of the device",
        )
    return table


def chip_sheet(profile: ChipProfile) -> RenderableType:
    """Everything that a profile says: values with unit and status, and the sources under them.

    Sources are numbered, for many values share one. Notes stand under their value.
    """
    numbers: dict[str, int] = {}
    rows = {
        f"{part}.{name}": (f"  {name}", *_cells(constant))
        for part in TABLES
        for name, constant in profile.tables[part].items()
    }
    widths = [max(map(len, column)) for column in zip(*rows.values(), strict=True)]
    lines: list[RenderableType] = [
        Text.assemble((profile.title, "bold"), f"  {profile.name}, family {profile.family}"),
        *([Text(profile.notes)] if profile.notes else []),
    ]
    for part in TABLES:
        if profile.tables[part]:
            lines += [Text(), Text(part, "bold")]
        for name, constant in profile.tables[part].items():
            number = numbers.setdefault(constant.source, len(numbers) + 1)
            key, value, unit, status = rows[f"{part}.{name}"]
            cells = (
                key.ljust(widths[0]),
                value.rjust(widths[1]),
                unit.ljust(widths[2]),
                status.ljust(widths[3]),
                f"[{number}]",
            )
            lines.append(Text("  ".join(cells), no_wrap=True))
            if notes := _notes(constant):
                lines.append(Padding(Text(notes, "dim"), (0, 0, 0, 4), expand=False))
    cited = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    cited.add_column(justify="right", no_wrap=True)
    cited.add_column(overflow="fold")
    for source, number in numbers.items():
        cited.add_row(Text(f"[{number}]"), Text(source))
    return Group(*lines, Text(), Text("sources", "bold"), cited)


def _cells(constant: ChipConstant) -> tuple[str, str, str]:
    """Value, unit and status; a long list stands in the notes."""
    value = constant.value
    if isinstance(value, str):
        shown = value
    elif isinstance(value, tuple):
        shown = _listed(value) if len(_listed(value)) <= _LONGEST else f"{len(value)} values"
    elif isinstance(value, bool):
        shown = str(value).lower()
    else:
        shown = f"{value:,.12g}"
    return shown, constant.unit, constant.status


def _notes(constant: ChipConstant) -> str:
    """The rest: a long list, the range where sources disagree, the kind of an energy, the notes."""
    value, notes = constant.value, []
    if isinstance(value, tuple) and len(_listed(value)) > _LONGEST:
        notes.append(_listed(value))
    if constant.low is not None and constant.low != constant.high:
        notes.append(f"sources disagree, {constant.low:,.12g} to {constant.high:,.12g}")
    return "; ".join(filter(None, (*notes, constant.kind, constant.notes)))


def _listed(value: tuple[int, ...]) -> str:
    return " ".join(f"{entry:,}" for entry in value)
