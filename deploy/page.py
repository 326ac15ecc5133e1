"""The page of a deployment: `report.html`, one self-contained file, drawn from its report alone.

Every figure on the page stands in a `<data>` element that names the key of `report.json` it comes
from and holds the exact value beside what is shown.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from mpo_snn.page.bar_chart import Bar, bar_chart
from mpo_snn.page.environment import page_environment
from mpo_snn.page.group_chart import BarGroup, group_chart
from mpo_snn.page.look_up import look_up
from mpo_snn.page.quantities import ABSENT, show_count, show_energy, show_percent

from .finding import Finding, grouped

SHOW = {"count": show_count, "percent": show_percent, "whole": "{:,}".format}
ROWS = 8
"""Resources in one chart."""
PICOJOULE = "pJ/inference"


def render_deployment(report: dict[str, Any]) -> str:
    """Draw the page.

    Args:
        report: what `mpo_snn.deploy.record.report_of` gave, or the same read from `report.json`.
    """

    def figure(path: str, quantity: str) -> Markup:
        value = look_up(report, path)
        shown = SHOW[quantity](value)
        return Markup('<data data-of="{}" value="{}">{}</data>').format(path, value, shown)

    def said(path: str) -> Markup:
        value = look_up(report, path)
        if isinstance(value, bool) or not isinstance(value, int):
            return Markup("{}").format(str(value).lower())
        return figure(path, "whole")

    own = [one for one in report["energy"] if one["is_of_network"]]
    total = own[-1] if own else None
    fullest = max(report["resources"], key=lambda one: one["share"], default=None)
    accuracy = report["accuracy"]
    change = accuracy["chip"]["percent"] - accuracy["float"]["percent"]
    return (
        page_environment("mpo_snn.deploy")
        .get_template("deployment.html")
        .render(
            report=report,
            figure=figure,
            said=said,
            charts=_charts(report),
            change=f"{change:+.2f} points",
            energy=None if total is None else {**total, "shown": show_energy(total["value"])},
            fullest=None if fullest is None else _with_share(fullest),
            overflows=show_count(sum(report["events"].values())),
            shown_energy=_shown_energy,
            warnings=grouped(Finding(**one) for one in report["warnings"]),
            absent=ABSENT,
        )
    )


def _with_share(resource: dict[str, Any]) -> dict[str, Any]:
    return {**resource, "shown": show_percent(100 * resource["share"])}


def _shown_energy(one: dict[str, Any]) -> str:
    if one["unit"] != PICOJOULE:
        return f"{one['value']:g} {one['unit']}".replace(" u", " µ")
    spread = f", {show_energy(one['low'])} to {show_energy(one['high'])}"
    return f"{show_energy(one['value'])}{spread if one['low'] != one['high'] else ''} per inference"


def _charts(report: dict[str, Any]) -> dict[str, Any]:
    layers = report["layers"]
    names = {"float": "real numbers", "rounded": "values of the chip", "chip": "integers"}
    accuracy = [
        Bar(
            words,
            [report["accuracy"][form]["percent"]],
            show_percent(report["accuracy"][form]["percent"]),
        )
        for form, words in names.items()
    ]
    spikes = []
    for layer in layers:
        pair = [layer["spikes_per_inference"][form] for form in ("float", "chip")]
        spikes.append(BarGroup(_short(layer["name"]), pair, [show_count(n) for n in pair]))
    most = max((n for group in spikes for n in group.lengths), default=0.0)
    errors = [
        Bar(_short(x["name"]), [x["weight_error_percent"]], show_percent(x["weight_error_percent"]))
        for x in layers
    ]
    most_error = max((x["weight_error_percent"] for x in layers), default=0.0)
    return {
        "accuracy": Markup(bar_chart(accuracy, 100.0, "Accuracy of each form", "accuracy")),
        "spikes": Markup(group_chart(spikes, most, "Spikes per inference", "spikes")),
        "errors": Markup(bar_chart(errors, most_error, "Error of the weights", "errors")),
        "most_error": show_percent(most_error),
        "resources": _resources(report["resources"]),
    }


def _resources(resources: list[dict[str, Any]]) -> list[Markup]:
    """Bars in columns, each the share of a resource that is taken."""
    bars = [
        Bar(
            _short(one["resource"]),
            [min(one["share"], 1.0)],
            f"{100 * one['share']:.1f} %",
            note=f"{one['used']:,.0f} of {one['available']:,.0f} {one['unit']}",
        )
        for one in resources
    ]
    return [
        Markup(bar_chart(bars[k : k + ROWS], 1.0, "Share of each resource", f"resources{k}"))
        for k in range(0, len(bars), ROWS)
    ]


def _short(name: str) -> str:
    return name.removeprefix("network.")
