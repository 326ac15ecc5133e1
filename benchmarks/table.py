"""One table of what was measured, with what a release must reach and what is worked for.

python -m benchmarks.table [--results FOLDER] [--device cpu|gpu] [--gate]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Found, is_older, kernel_changed, measured
from benchmarks.goals import GOALS

COLOURS = {"goal": "green", "must": "", "short": "red"}


def main(argv: list[str] | None = None) -> int:
    """Print the table; with `--gate`, 1 if a must is missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.table", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--device", choices=("cpu", "gpu"), nargs="+", default=["cpu", "gpu"])
    parser.add_argument("--gate", action="store_true", help="exit 1 if a must is missed")
    options = parser.parse_args(argv)
    goals = [goal for goal in GOALS if goal.device in options.device]
    found = measured(options.results, goals)
    console = Console(width=None if sys.stdout.isatty() else 140)
    kernel = kernel_changed()
    older = [row for row in found if is_older(row, kernel)]
    console.print(table(found, older))
    missing = [goal.item for goal in goals if all(f.goal is not goal for f in found)]
    if missing:
        console.print("not measured: " + "; ".join(missing))
    if kernel is not None and older:
        console.print(
            f"older: {len(older)} figures were measured before the Triton kernels last changed,"
            f" {kernel:%Y-%m-%d %H:%M}"
        )
    missed = [f for f in found if f.goal.verdict(f.value) == "short"]
    console.print(f"{len(found)} figures, {len(missed)} short of the must")
    return int(options.gate and bool(missed))


def table(found: list[Found], older: list[Found]) -> Table:
    """The rows, those of one goal together; what is older than the kernels is said to be."""
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    shown.add_column("what", max_width=44)
    shown.add_column("case")
    for name in ("measured", "must", "goal"):
        shown.add_column(name, justify="right")
    for name in ("reached", "device", "date"):
        shown.add_column(name)
    before = None
    for row in found:
        goal = row.goal
        sign = "<=" if goal.lower_is_better else ">="
        verdict = goal.verdict(row.value)
        shown.add_row(
            goal.item if goal is not before else "",
            case_in_words(row),
            f"{in_words(row.value)} {goal.unit}",
            f"{sign} {goal.must:g}",
            f"{sign} {goal.goal:g}",
            f"[{COLOURS[verdict]}]{verdict}[/]" if COLOURS[verdict] else verdict,
            row.made_with["device"],
            row.made_with["date"][:10] + (" older" if row in older else ""),
        )
        before = goal
    return shown


def case_in_words(row: Found) -> str:
    """The values of a case, those that are lists as 4x16x128."""
    return " ".join(_in_words(value) for value in row.case.values() if value is not None)


def in_words(value: float) -> str:
    """Three digits, of large numbers all before the point."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _in_words(value: object) -> str:
    if not isinstance(value, list):
        return str(value)
    return ("x" if all(isinstance(v, int) for v in value) else "+").join(map(_in_words, value))


if __name__ == "__main__":
    sys.exit(main())
