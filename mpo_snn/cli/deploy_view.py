"""`mpo-deploy` on a console: findings and resources, then what the chip makes of the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from mpo_snn.deploy.finding import CheckResult, Finding, Usage
    from mpo_snn.profiles.chip import ChipProfile

_BAR = 24
_MOST_ROWS = 12
"""Resources that are shown; of more, the fullest."""


def check_view(result: CheckResult, profile: ChipProfile, source: str) -> RenderableType:
    """What the check found: every finding with what would help, bars of the resources."""
    title = f"[bold]{escape(profile.title)}[/]  {escape(source)}"
    parts: list[RenderableType] = [title, ""]
    if result.findings:
        number = len(result.findings)
        parts += [f"[red]does not fit[/]: {number} finding{'s' * (number > 1)}", ""]
        parts += [_finding(one) for one in result.findings]
    else:
        parts += ["[green]fits[/]: no finding", ""]
    if result.usage:
        parts.append(_resources(result.usage))
    if result.warnings:
        parts += ["", *(_warning(one) for one in result.warnings)]
    return Group(*parts)


def _finding(finding: Finding) -> RenderableType:
    lines = (
        f"  [bold]{escape(finding.where)}[/]  {escape(finding.found)}",
        f"      allowed  {escape(finding.allowed)}",
        f"      fix      {escape(finding.fix)}",
    )
    source = f"      [dim]source   {escape(finding.source)}[/]" if finding.source else ""
    return "\n".join([*lines, source]) if source else "\n".join(lines)


def _warning(finding: Finding) -> str:
    return f"[yellow]warning[/]  {escape(str(finding))}"


def _resources(usage: Sequence[Usage]) -> Table:
    shown = sorted(usage, key=lambda one: -one.share)[:_MOST_ROWS]
    table = Table(box=None, pad_edge=False, padding=(0, 1), show_header=False)
    for justify in ("left", "left", "right", "left"):
        table.add_column(justify=justify, no_wrap=True)
    for one in usage:
        if one in shown:
            amount = f"{one.used:,.0f} of {one.available:,.0f} {one.unit}"
            table.add_row(f"  {one.resource}", _bar(one.share), f"{100 * one.share:.1f} %", amount)
    return table


def _bar(share: float) -> str:
    full = min(_BAR, round(_BAR * share))
    full = max(full, 1) if share > 0 else full
    colour = "red" if share > 1 else "green"
    return f"[{colour}]{'█' * full}[/][dim]{'░' * (_BAR - full)}[/]"


def deployment_view(report: dict[str, Any]) -> RenderableType:
    """What a report says of a deployment."""
    parts: list[RenderableType] = [
        "",
        f"{escape(report['data'])}: {report['samples']:,} samples",
        "",
        _accuracy(report),
        "",
        _layers(report),
        "",
        _rest(report),
    ]
    return Group(*parts)


def _accuracy(report: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2), show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right", style="bold", no_wrap=True)
    table.add_column()
    real = report["accuracy"]["float"]["percent"]
    words = {
        "float": "the network, in real numbers",
        "rounded": "the chip's values, in real numbers",
        "chip": f"the chip's integers, as {report['target']['arithmetic']}",
    }
    for name, what in words.items():
        answers = report["accuracy"][name]
        change = "" if name == "float" else f"  ({answers['percent'] - real:+.2f} points)"
        table.add_row(f"  {name}", f"{answers['percent']:.2f} %", f"{escape(what)}{change}")
    table.add_row(
        "  same answer", f"{report['same_answer_percent']:.2f} %", "of chip and float, by sample"
    )
    return table


def _layers(report: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column("  layer", style="dim", header_style="dim", overflow="fold")
    for title in ("neurons", "weight error", "dead", "threshold error", "spikes float", "chip"):
        table.add_column(title, justify="right", no_wrap=True)
    for layer in report["layers"]:
        spikes = layer["spikes_per_inference"]
        table.add_row(
            f"  {escape(layer['name'])}",
            f"{layer['neurons']:,}",
            f"{layer['weight_error_percent']:.2f} %",
            f"{layer['dead_weights']:,} of {layer['weights']:,}",
            f"{layer['threshold_error_percent']:.2g} %",
            f"{spikes['float']:,.1f}",
            f"{spikes['chip']:,.1f}",
        )
    return table


def _rest(report: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2), show_header=False)
    table.add_column(style="dim")
    table.add_column()
    events = [f"{number:,} {name}" for name, number in report["events"].items()]
    table.add_row("  events", escape(", ".join(events) or "none"))
    table.add_row(
        "  operations",
        f"{report['synaptic_events_per_inference']:,.0f} synaptic events,"
        f" {report['neuron_updates_per_inference']:,.0f} neuron updates per inference",
    )
    for energy in report["energy"]:
        table.add_row("  energy", escape(energy_line(energy)))
    return table


def energy_line(energy: dict[str, Any]) -> str:
    """One estimate in a line, with its range and where it comes from."""
    low, value, high = energy["low"], energy["value"], energy["high"]
    spread = "" if low == high else f" ({low:.3g} to {high:.3g})"
    return f"{energy['label']}: {value:.3g}{spread} {energy['unit']}, {energy['kind']}"
