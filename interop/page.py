"""docs/interop.md from the results of `interop.matrix`."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

Cell = dict[str, Any]

TITLES = {
    "snntorch": "snnTorch",
    "norse": "Norse",
    "spikingjelly": "SpikingJelly",
    "nirtorch": "nirtorch",
    "sinabs": "Sinabs",
    "rockpool": "Rockpool",
    "spyx": "Spyx",
    "portable": "portable file (snnTorch, Norse, SpikingJelly)",
}
EXACT = ("exact", "ties", "rounding")


def page(results: dict[str, Any]) -> str:
    """The page, in Markdown."""
    made = results["made_with"]
    notes = _Notes()
    own = _own_table([c for c in results["own"] if not _is_wild(c)], notes)
    wild = _wild_table([c for c in results["own"] if _is_wild(c)])
    plain = [c for c in results["foreign"] if c["file"] == "nir" and not _is_wild(c)]
    return f"""# Round trips through the real readers

Written by `make interop` ({made["date"][:10]}, {made["seconds"]:.0f} s). Every network is written
to a file, loaded in the reader itself and driven for {made["timesteps"]} steps with two batches of
{made["batch"]}: real values from 0 to 1.5, and spikes with a chance of 0.1. Every output spike, and
every spike of every layer that the reader shows, is compared with this project's simulator on the
network's plain graph in float64. Readers compute in float32. Figures:
[interop.json](../benchmarks/results/interop.json). Readers: {", ".join(made["readers"])}.

## Files written for a reader

`mpo-export RUN --reader NAME`. **exact**: all spikes are the same, identical 1, Jaccard 1. A number
says why the exporter refuses, or what is to be known. Networks called random were drawn by seed and
took no part in development.

{own}

{notes.text()}

Small graphs as other programs may write them, each with something unusual (a resting or reset
potential, gains per neuron, another timestep, Scale, Delay, LI, branches, padded pools, other
names; `interop/wild.py`), written for each reader:

{wild}

## Plain files

The same networks as plain NIR, which is what exporters commonly write, as each reader runs them:
share of identical output entries / Jaccard index of the output's spikes, or that the file does not
run. Sinabs and Rockpool are set to one spike a step, Sinabs to a reset to zero too; Spyx's output
is shifted by its lateness.

{_plain_table(plain)}

## Predictions

`mpo-export --explain FILE` says beforehand what a reader will do. Every file above, each in every
reader, against what it means in NIR:

{_prediction_table(results["foreign"])}

*exact as predicted*: or differing only in what layer replay shows to be rounding at threshold.
*too careful*: predicted to differ, but no spike of this input did. *missed*: predicted exact, and
was not.
"""


def _is_wild(cell: Cell) -> bool:
    return cell["network"].startswith("wild")


class _Notes:
    """Numbered footnotes, each text once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers) + 1)

    def text(self) -> str:
        return "\n".join(f"{number}. {text}" for text, number in self._numbers.items())


def _own_table(cells: list[Cell], notes: _Notes) -> str:
    rows: dict[str, dict[str, dict[str, str]]] = {}
    for cell in cells:
        row = rows.setdefault(cell["network"], {})
        row.setdefault(cell["file"], {})[cell["reader"]] = _own_cell(cell, notes)
    files = list(dict.fromkeys(cell["file"] for cell in cells))
    lines = [[name, *(_merged(row.get(file, {})) for file in files)] for name, row in rows.items()]
    return table(["network", *(TITLES.get(file, file) for file in files)], lines)


def _merged(texts: dict[str, str]) -> str:
    """One text where the file is the same in all its readers, else one for each."""
    if len(set(texts.values())) <= 1:
        return next(iter(texts.values()), "")
    return ", ".join(f"{TITLES[reader]} {text}" for reader, text in texts.items())


def _own_cell(cell: Cell, notes: _Notes) -> str:
    verdict = cell["verdict"]
    if verdict == "refused":
        numbers = sorted({notes.number(_without_numbers(reason)) for reason in cell["reasons"]})
        return "refused " + ", ".join(map(str, numbers))
    if verdict == "fails":
        return f"**fails** {notes.number(cell['problem'])}"
    if verdict == "different":
        return f"**{cell['identical']:.4f} / {cell['jaccard']:.3f}**"
    known = []
    if cell["after"]:
        known.append(notes.number(f"after the step that the exporter prints for {cell['reader']}"))
    if cell["late"]:
        known.append(notes.number("as many steps late as the network has spiking layers"))
    if verdict == "ties":
        known.append(notes.number("but for membranes exactly at threshold, where it fires"))
    if verdict == "rounding":
        known.append(notes.number("but for first differences that layer replay explains"))
    return " ".join(["exact", ", ".join(map(str, known))]).strip()


def _without_numbers(reason: str) -> str:
    """The reason without the values and names of one network, so that it is told once."""
    number = r"-?\d+(\.\d+)?(e[-+]?\d+)?"
    reason = re.sub(rf"\b(of|instead of|dt =) {number}( to {number})?", r"\1 ...", reason)
    return re.sub(
        rf"keeps {number}( to {number})?", "keeps ...", re.sub(r"'\w+\d'", "'...'", reason)
    )


def _wild_table(cells: list[Cell]) -> str:
    counts: dict[tuple[str, str], Counter[str]] = {}
    for cell in cells:
        verdict = "exact" if cell["verdict"] in EXACT else cell["verdict"]
        counts.setdefault((cell["file"], cell["reader"]), Counter())[verdict] += 1
    kinds = ("exact", "refused", "different", "fails")
    lines = []
    for (file, reader), count in counts.items():
        name = TITLES[reader] if file == reader else f"portable file in {TITLES[reader]}"
        lines.append([name, *(str(count[kind]) for kind in kinds)])
    return table(["file", *kinds], lines)


def _plain_table(cells: list[Cell]) -> str:
    readers = list(dict.fromkeys(c["reader"] for c in cells))
    rows: dict[str, dict[str, str]] = {}
    for cell in cells:
        text = f"{cell['identical']:.2f} / {cell['jaccard']:.2f}"
        if cell["verdict"] == "fails":
            text = "fails"
        elif cell["verdict"] in EXACT:
            text = "exact" if cell["verdict"] == "exact" else f"exact but {cell['verdict']}"
        rows.setdefault(cell["network"], {})[cell["reader"]] = text
    lines = [[name, *(row[reader] for reader in readers)] for name, row in rows.items()]
    return table(["network", *(TITLES[reader] for reader in readers)], lines)


def _prediction_table(cells: list[Cell]) -> str:
    counts: dict[str, Counter[str]] = {}
    for cell in cells:
        if cell["predicted"] is not None:
            counts.setdefault(cell["reader"], Counter())[_outcome(cell)] += 1
    kinds = (
        "exact as predicted", "different as predicted", "fails as predicted",
        "fails, predicted different", "differs, predicted to fail", "too careful", "missed",
    )  # fmt: skip
    lines = [
        [TITLES[reader], *(str(count[kind]) for kind in kinds)] for reader, count in counts.items()
    ]
    return table(["reader", *kinds], lines)


def _outcome(cell: Cell) -> str:
    observed = "exact" if cell["verdict"] in EXACT else cell["verdict"]
    if cell["predicted"] == observed:
        return f"{observed} as predicted"
    if cell["predicted"] == "exact":
        return "missed"
    if observed == "exact":
        return "too careful"
    return "fails, predicted different" if observed == "fails" else "differs, predicted to fail"


def table(head: list[str], lines: list[list[str]]) -> str:
    """A table in Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
