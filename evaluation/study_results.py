"""What a study leaves behind: a tidy CSV file, a summary in JSON, figures, a console table."""

from __future__ import annotations

import csv
import io
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from mpo_snn.files import delete_file, make_folder, replace_file, write_file
from mpo_snn.training.environment import source_commit

from .study_figures import calm_style
from .study_folder import to_json
from .study_frame import has_data
from .study_plan import Plan
from .study_runs import Outcome

COLUMNS = (
    "configuration",
    "seed",
    "timesteps",
    "epoch",
    "layer",
    "level",
    "measure",
    "value",
    "unit",
)
RESULTS, SUMMARY, FIGURES = "results.csv", "summary.json", "figures"
_PACKAGES = ("torch", "snntorch", "lightning", "numpy", "scipy", "scikit-learn", "joblib")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class TextTable:
    """A table as the console shows it.

    Attributes:
        title: what it shows.
        columns: heads; the first column is text, the others are numbers.
        rows: cells in words.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Results:
    """What came out of a study.

    Attributes:
        outcomes: of all trials but those of tuning.
        rows: one measurement each, with keys of `COLUMNS`; what does not apply is left out.
        summary: means, spreads and tests, as JSON values.
        tables: for the console.
        figures: by file name; those that show nothing are not written.
        notes: what a reader has to know, one line each.
    """

    outcomes: Sequence[Outcome]
    rows: Sequence[Row]
    summary: Mapping[str, Any]
    tables: Sequence[TextTable]
    figures: Mapping[str, Figure]
    notes: Sequence[str] = field(default_factory=tuple)


def write_results(plan: Plan, results: Results, seconds: float) -> list[Path]:
    """Write results.csv, summary.json and the figures as SVG and PNG; returns their paths.

    A figure that shows nothing is not written, and one that an earlier call left of the same name
    is deleted: it would stand beside results that it does not show.

    Raises:
        OutputError: if the disk refuses.
    """
    paths = [plan.output / RESULTS, plan.output / SUMMARY]
    summary = {**_provenance(plan, results, seconds), "notes": told(results)}
    summary_text = to_json({**summary, **results.summary})
    write_file(paths[0], _csv(results.rows))
    folder = make_folder(plan.output / FIGURES)
    for name, figure in results.figures.items():
        for suffix in ("svg", "png"):
            path = folder / f"{name}.{suffix}"
            if not has_data(figure):
                delete_file(path)
                continue
            with calm_style(), replace_file(path) as scratch:
                metadata = {"Date": None} if suffix == "svg" else {}
                figure.savefig(scratch, format=suffix, dpi=160, metadata=metadata)
            paths.append(path)
    write_file(paths[1], summary_text)
    return paths


def told(results: Results) -> list[str]:
    """All notes; the last says which figures are not written."""
    empty = [name for name, figure in results.figures.items() if not has_data(figure)]
    if not empty:
        return list(results.notes)
    return [*results.notes, f"nothing to show, so not written: {FIGURES}/{', '.join(empty)}."]


def console_view(results: Results) -> RenderableType:
    """What a terminal shows, for `rich.console.Console.print`."""
    parts: list[RenderableType] = []
    for content in results.tables:
        table = Table(box=None, pad_edge=False, padding=(0, 2), show_edge=False)
        for index, head in enumerate(content.columns):
            justify: Any = "right" if index else "left"
            table.add_column(escape(head), justify=justify, header_style="dim", no_wrap=True)
        for row in content.rows:
            table.add_row(*map(escape, row))
        parts += [f"[bold]{escape(content.title)}[/]", "", table, ""]
    parts += [f"[dim]note[/]  {escape(note)}" for note in told(results)]
    return Group(*parts)


def divergence_rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """One row for every run that diverged: value 1 of the measure `diverged`."""
    return [measurement(outcome, "diverged", 1.0, "1") for outcome in outcomes if outcome.diverged]


def divergence_notes(outcomes: Sequence[Outcome]) -> list[str]:
    """Which runs diverged, and where."""
    return [
        f"{outcome.trial.name} diverged and is left out: {outcome.diverged}"
        for outcome in outcomes
        if outcome.diverged
    ]


def measurement(
    outcome: Outcome, measure: str, value: float | None, unit: str, **more: Any
) -> dict[str, Any]:
    """A row of the CSV file; the keys beside these are `epoch`, `layer` and `level`."""
    trial = outcome.trial
    return {
        "configuration": trial.configuration,
        "seed": trial.seed,
        "timesteps": trial.recipe.timesteps,
        "measure": measure,
        "value": value,
        "unit": unit,
        **more,
    }


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    for row in rows:
        value = row["value"]
        table.writerow({**row, "value": "" if value is None else f"{value:.8g}"})
    return text.getvalue()


def _provenance(plan: Plan, results: Results, seconds: float) -> dict[str, Any]:
    return {
        "study": plan.study,
        "command": plan.command,
        "seeds": list(plan.seeds),
        "configurations": {c.name: dict(c.overrides) for c in plan.configurations},
        "recipe": plan.recipe.values(),
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in _PACKAGES},
        },
        "git": source_commit(),
        "machine": platform.machine(),
        "runs": {
            "done": [o.trial.name for o in results.outcomes if not o.diverged],
            "diverged": [o.trial.name for o in results.outcomes if o.diverged],
        },
        "seconds_of_last_call": round(seconds, 1),
    }
