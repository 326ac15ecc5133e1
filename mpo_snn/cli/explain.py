"""Prints what each reader would do with a NIR file, as a calm table."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mpo_snn.export.explain import Explained, Explanation, explain_file

_WIDTH = 110
_KEYS = ("neuron.", "network.")
_OF_RECIPES = (
    "\nneuron.* and network.* are keys of a recipe: they help a network that mpo-train trains; in"
    " another\nprogram, set what they stand for."
)
_NEXT = (
    "\nFor the readers that can run the network at all, a file of its own is exact:\n"
    "mpo-export RUN|FILE --reader NAME; --reader all tries each and tells what stands in the way."
)
_COLOURS = {"exact": "green", "exact after a step": "green", "different": "yellow"}


def print_explanation(path: str, dt: float | None) -> None:
    """Print the table for a file, and the steps after loading under it."""
    explained = explain_file(path, dt)
    console = Console(highlight=False)
    console.width = max(console.width, _WIDTH)
    console.print(f"[bold]{escape(path)}[/]  {_timestep(explained)}", soft_wrap=True)
    if explained.written_for:
        console.print(f"written for {explained.written_for}: it means what that runs")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("reader", no_wrap=True)
    table.add_column("runs it", no_wrap=True)
    table.add_column("how or why", overflow="fold", ratio=3)
    table.add_column("what helps", overflow="fold", ratio=2)
    for reader in explained.readers:
        _add_rows(table, reader)
    console.print()
    console.print(table)
    for reader in explained.readers:
        if reader.after:
            print(f"\nafter loading in {reader.reader.title}:")
            print("\n".join(f"    {line}" for line in reader.after.splitlines()))
    helps = [finding.help for reader in explained.readers for finding in reader.findings]
    if any(key in text for text in helps for key in _KEYS):
        print(_OF_RECIPES)
    print(_NEXT)


def _add_rows(table: Table, explanation: Explanation) -> None:
    verdict = explanation.verdict
    colour = _COLOURS.get(verdict, "red")
    first = (explanation.reader.title, f"[{colour}]{verdict}[/]")
    if not explanation.findings:
        table.add_row(*first, "", "")
    for finding in explanation.findings:
        table.add_row(*first, escape(f"{finding.where}{finding.what}"), escape(finding.help))
        first = ("", "")


def _timestep(explained: Explained) -> str:
    source = {
        "given": "as given",
        "the file": "as the file says",
        "assumed": "assumed, for the file does not say; --dt gives another",
    }
    return f"dt = {explained.dt:g} s, {source[explained.dt_from]}"
