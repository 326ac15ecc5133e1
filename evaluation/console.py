"""The report on a console: a table per layer and in total, and the summary under it."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from mpo_snn.page.quantities import (
    show_bytes,
    show_count,
    show_density,
    show_energy,
    show_percent,
    show_points,
    show_ratio,
    show_rr,
)

_COLUMNS = ("neurons", "density", "MAC", "AC", "graded AC", "energy")


def console_view(report: dict[str, Any]) -> RenderableType:
    """What a terminal shows of a report, for `rich.console.Console.print`."""
    setting = report["setting"]
    steps = "timestep" if setting["timesteps"] == 1 else "timesteps"
    title = (
        f"[bold]Evaluation[/]  {escape(report['graph']['file'])} on"
        f" {escape(setting['data_title'])}: "
        f"{setting['samples']:,} {setting['split']} samples, {setting['timesteps']} {steps}"
    )
    warnings = [f"[yellow]warning[/]  {escape(text)}" for text in report["warnings"]]
    parts: list[RenderableType] = [title, "", _layers(report), "", _summary(report)]
    if report["robustness"] is not None:
        parts += ["", _robustness(report["robustness"])]
    return Group(*parts, *([""] if warnings else []), *warnings)


def _layers(report: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), show_footer=True)
    total = _cells(report["total"])
    table.add_column(
        "  layer",
        "  total",
        style="dim",
        header_style="dim",
        footer_style="bold",
        overflow="fold",  # a name cut short may be that of two layers
    )
    for title, footer in zip(_COLUMNS, total, strict=True):
        table.add_column(title, footer, justify="right", no_wrap=True, footer_style="bold")
    for layer in report["layers"]:
        table.add_row(f"  {escape(layer['name'])}", *_cells(layer))
    return table


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        show_count(row["neurons"]),
        show_density(row["density"]),
        show_count(row["mac_per_inference"]),
        show_count(row["ac_per_inference"]),
        show_count(row["graded_ac_per_inference"]),
        show_energy(row["energy_pj_per_inference"]),
    ]


def _summary(report: dict[str, Any]) -> Table:
    summary, profile = report["summary"], report["profile"]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(justify="right", style="bold", no_wrap=True)
    grid.add_column()
    grid.add_row(
        "  accuracy",
        show_percent(summary["accuracy_percent"]),
        f"{summary['correct']:,} of {summary['samples']:,}",
    )
    grid.add_row(
        "  energy",
        show_energy(summary["energy_pj_per_inference"]),
        escape(f"per inference{_energy_range(summary)}{_as_dense(summary)}"),
    )
    grid.add_row("", "", escape(f"{profile['name']}, {profile['kind']}. {profile['notes']}"))
    grid.add_row("  SynOps", show_count(summary["synops_per_inference"]), "per inference")
    grid.add_row("  density", show_density(summary["density"]), "spikes / (neurons x steps)")
    grid.add_row(
        "  parameters",
        show_count(summary["parameters"]),
        f"{show_bytes(summary['memory_bytes'])} in {report['setting']['precision']}",
    )
    grid.add_row("  SEEI", show_ratio(summary["seei"]), summary["seei_caveat"])
    grid.add_row("  equivalence", summary["equivalence"], "")
    return grid


def _energy_range(summary: dict[str, Any]) -> str:
    low, high = summary["energy_low_pj_per_inference"], summary["energy_high_pj_per_inference"]
    return "" if low == high else f", {show_energy(low)} to {show_energy(high)} by the sources"


def _as_dense(summary: dict[str, Any]) -> str:
    dense = summary["dense_energy_pj_per_inference"]
    return "" if dense is None else f"; as a dense network {show_energy(dense)}"


def _robustness(robustness: dict[str, Any]) -> Table:
    """Each kind of fault by level: accuracy, mean and spread over the seeds, and RR."""
    kinds = list(dict.fromkeys(row["kind"] for row in robustness["levels"]))
    table = Table(box=None, pad_edge=False, padding=(0, 2), show_header=False)
    table.add_column(style="dim", no_wrap=True)
    for kind in kinds:
        rows = [row for row in robustness["levels"] if row["kind"] == kind]
        while len(table.columns) < len(rows) + 1:
            table.add_column(justify="right", no_wrap=True)
        table.add_row(f"  {kind}", *(f"{row['level']:g}" for row in rows), style="dim")
        table.add_row("    accuracy / %", *(f"{row['accuracy_percent']:.2f}" for row in rows))
        if any(row["spread_percent"] is not None for row in rows):
            table.add_row("    spread", *(show_points(row["spread_percent"]) for row in rows))
        table.add_row("    RR", *(show_rr(row["rr"]) for row in rows))
    return table
