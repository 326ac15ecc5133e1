"""A comparison on a console: one column a network, ratios to the first beside the values."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from mpo_snn.page.quantities import show_density


def comparison_view(comparison: dict[str, Any]) -> RenderableType:
    """What a terminal shows of `compare`'s answer, for `rich.console.Console.print`."""
    remarks = [f"[yellow]warning[/]  {escape(text)}" for text in comparison["remarks"]]
    parts: list[RenderableType] = [_table(comparison)]
    if comparison["layers"]:
        parts += ["", _layers(comparison)]
    return Group(*parts, *([""] if remarks else []), *remarks)


def _table(comparison: dict[str, Any]) -> Table:
    table = _empty("", comparison["names"])
    for row in comparison["rows"]:
        cells = [
            f"{shown}  {against}".rstrip()
            for shown, against in zip(row["shown"], row["against_first"], strict=True)
        ]
        table.add_row(f"  {row['name']}", *cells)
    table.add_row("  equivalence", *comparison["equivalence"])
    return table


def _layers(comparison: dict[str, Any]) -> Table:
    table = _empty("  density of layer", comparison["names"])
    for layer in comparison["layers"]:
        table.add_row(f"  {escape(layer['name'])}", *map(show_density, layer["densities"]))
    return table


def _empty(title: str, names: list[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column(title, style="dim", header_style="dim", overflow="fold")
    for name in names:
        table.add_column(escape(name), justify="right", overflow="fold")
    return table
