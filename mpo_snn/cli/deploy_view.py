"""`mpo-deploy` on a console: findings and resources, then what the chip makes of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from mpo_snn.deploy.finding import grouped
from mpo_snn.page.quantities import show_count

if TYPE_CHECKING:
    from mpo_snn.deploy.finding import CheckResult, Finding, Usage
    from mpo_snn.profiles.chip import ChipProfile

_BAR = 10
_MOST_ROWS = 12
"""Resources that are shown; of more, the fullest."""


def check_view(result: CheckResult, profile: ChipProfile, source: str) -> RenderableType:
    """What the check found: every finding with what would help, bars of the resources."""
    title = f"[bold]{escape(profile.title)}[/]  {escape(source)}"
    blocks: list[list[RenderableType]] = [[title], [_answer(result)]]
    blocks.append([_finding(one) for one in grouped(result.findings)])
    blocks.append([_resources(result.usage)] if result.usage else [])
    blocks.append([_scales(result.scales)] if result.scales else [])
    blocks.append([_warning(one) for one in grouped(result.warnings)])
    first, *others = filter(None, blocks)
    return Group(*first, *(part for block in others for part in ("", *block)))


def _answer(result: CheckResult) -> str:
    if not result.findings and not result.usage:
        return "[green]no finding[/]; no limit is known, so nothing was checked for size"
    if not result.findings:
        return "[green]fits[/]: no finding"
    number, places = len(grouped(result.findings)), len(result.findings)
    where = f" in {places} places" if places > number else ""
    return f"[red]does not fit[/]: {number} finding{'s' * (number > 1)}{where}"


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


def _scales(scales: Mapping[str, float]) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 1),
        title="weights, threshold and bias of a layer are multiplied by",
        title_justify="left",
        title_style="",
        show_header=False,
    )
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    for name, scale in scales.items():
        table.add_row(Padding(escape(name), (0, 0, 0, 2)), f"{scale:.6g}")
    return table


def _resources(usage: Sequence[Usage]) -> Table:
    shown = sorted(usage, key=lambda one: -one.share)[:_MOST_ROWS]
    table = Table(box=None, pad_edge=False, padding=(0, 1), show_header=False)
    table.add_column(overflow="fold")
    for justify in ("right", "left", "left"):
        table.add_column(justify=justify, no_wrap=True)
    for one in usage:
        if one in shown:
            amount = f"{one.used:,.0f} of {one.available:,.0f} {one.unit}"
            name = one.resource.removeprefix("network.")
            table.add_row(
                Padding(escape(name), (0, 0, 0, 2)),
                f"{100 * one.share:.1f} %",
                _bar(one.share),
                amount,
            )
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
    table = _plain_table(style="dim")
    table.add_column(justify="right", style="bold", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    real = report["accuracy"]["float"]["percent"]
    words = {
        "float": "in real numbers",
        "rounded": "the chip's values, in real numbers",
        "chip": f"in the chip's integers: {report['target']['arithmetic']}",
    }
    for name, what in words.items():
        percent = report["accuracy"][name]["percent"]
        change = "" if name == "float" else f"{percent - real:+.2f}"
        table.add_row(f"  {name}", f"{percent:.2f} %", change, escape(what))
    same = f"{report['same_answer_percent']:.2f} %"
    table.add_row("  same answer", same, "", "of chip and float, sample by sample")
    return table


def _layers(report: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column("  layer", style="dim", header_style="dim", overflow="fold", vertical="bottom")
    titles = (
        "neurons",
        "weight\nerror",
        "dead\nweights",
        "threshold\nerror",
        "spikes\nfloat",
        "chip",
    )
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    for layer in report["layers"]:
        spikes = layer["spikes_per_inference"]
        table.add_row(
            f"  {escape(layer['name'].removeprefix('network.'))}",
            f"{layer['neurons']:,}",
            f"{layer['weight_error_percent']:.2f} %",
            f"{layer['dead_weights']:,}",
            f"{layer['threshold_error_percent']:.2g} %",
            f"{spikes['float']:,.1f}",
            f"{spikes['chip']:,.1f}",
        )
    return table


def _rest(report: dict[str, Any]) -> Table:
    table = _plain_table(style="dim")
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
    for fact in report["facts"]:
        if fact["unit"] == "MHz":
            _, _, when = fact["name"].partition(" for ")
            line = f"{show_count(fact['value'])} MHz for {when} {fact['notes']}"
            table.add_row("  clock", escape(line))
    return table


def _plain_table(style: str = "") -> Table:
    """Columns without lines or titles, the first one set in."""
    table = Table(box=None, pad_edge=False, padding=(0, 2), show_header=False)
    if style:
        table.add_column(style=style, no_wrap=True)
    return table


def energy_line(energy: dict[str, Any]) -> str:
    """One estimate in a line, with its range and where it comes from."""
    unit, factor = energy["unit"].replace("uW", "µW").replace("uJ", "µJ"), 1.0
    if unit == "pJ/inference":
        unit, factor = _readable(energy["value"])
    low, value, high = (energy[key] * factor for key in ("low", "value", "high"))
    spread = "" if low == high else f" ({low:.3g} to {high:.3g})"
    return f"{energy['label']}: {value:.3g}{spread} {unit}, {energy['kind']}"


def _readable(picojoules: float) -> tuple[str, float]:
    """A unit in which an energy is a number that can be read, and what pJ are in it."""
    for name, size in (("mJ", 1e9), ("µJ", 1e6), ("nJ", 1e3)):
        if picojoules >= size:
            return f"{name}/inference", 1 / size
    return "pJ/inference", 1.0
