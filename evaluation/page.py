"""The page: `report.html`, one self-contained file, drawn from the report's dictionary alone.

Every figure on the page stands in a `<data>` element that names the report's key it comes from
(`data-of="summary.density"`) and holds the exact value beside what is shown.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import jinja2
from markupsafe import Markup

from .bar_chart import Bar, bar_chart
from .curve_chart import curve_chart
from .equivalence_charts import equivalence_charts
from .quantities import (
    ABSENT,
    show_count,
    show_density,
    show_energy,
    show_percent,
    show_ratio,
    show_seconds,
)
from .record import groups_of

FAULT_AXES = {
    "gaussian": "sigma / range of the data",
    "salt_and_pepper": "share of the pixels",
    "weight_bits": "share of the bits flipped",
    "threshold_jitter": "sigma / threshold",
    "dead_neurons": "share of the neurons",
    "dropped_spikes": "share of the spikes",
    "clock_jitter": "share of the spikes",
}
MOST_CLASSES = 10
"""So many are drawn, the ones that are right least often; the table has all."""
SHOW = {
    "count": show_count,
    "density": show_density,
    "energy": show_energy,
    "percent": show_percent,
    "ratio": show_ratio,
    "seconds": show_seconds,
}


def render_page(report: dict[str, Any]) -> str:
    """Draw the page.

    Args:
        report: what `build_report` gave, or the same read back from `report.json`.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mpo_snn.evaluation", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(SHOW)

    def figure(path: str, quantity: str) -> Markup:
        value = look_up(report, path)
        if value is None:
            return Markup('<data data-of="{}" value="">{}</data>').format(path, ABSENT)
        shown = SHOW[quantity](value)
        return Markup('<data data-of="{}" value="{}">{}</data>').format(path, value, shown)

    return environment.get_template("report.html").render(
        report=report,
        figure=figure,
        charts=_charts(report),
        robustness=_robustness_charts(report["robustness"]),
        groups=groups_of(report["equivalence"]),
        pictures=equivalence_charts(report["equivalence"]),
    )


def look_up(report: Any, path: str) -> Any:
    """The value at a path such as `layers.0.density`."""
    return reduce(
        lambda part, key: part[int(key)] if isinstance(part, list) else part[key],
        path.split("."),
        report,
    )


def _charts(report: dict[str, Any]) -> dict[str, Markup]:
    layers, total = report["layers"], report["total"]
    spiking = [layer for layer in layers if layer["density"] is not None]
    working = [
        layer for layer in layers if layer["mac_per_inference"] + layer["synops_per_inference"]
    ]
    operations = total["mac_per_inference"] + total["synops_per_inference"]
    energy = total["energy_pj_per_inference"]
    drawn = {
        "density": bar_chart(
            [Bar(one["name"], [one["density"]], show_density(one["density"])) for one in spiking],
            1.0,
            "Spike density of each layer",
            "density",
        ),
        "operations": bar_chart(
            [Bar(one["name"], _kinds(one), show_count(sum(_kinds(one)))) for one in working],
            operations,
            "Operations of each layer per inference, by kind",
            "operations",
        ),
        "energy": bar_chart(
            [_energy_bar(one, energy) for one in layers if one["energy_pj_per_inference"]],
            energy,
            "Energy of each layer per inference",
            "energy",
        ),
    }
    return {name: Markup(svg) for name, svg in (drawn | _decision_charts(report)).items()}


def _robustness_charts(robustness: dict[str, Any] | None) -> list[tuple[str, Markup]]:
    """Title and drawing of each kind of fault: the mean over seeds, and every seed."""
    if robustness is None:
        return []
    found = [value for row in robustness["levels"] for value in row["accuracies_percent"]]
    within = (max(0.0, min(found) - 3.0), 102.0)
    drawn = []
    for kind in dict.fromkeys(row["kind"] for row in robustness["levels"]):
        rows = [row for row in robustness["levels"] if row["kind"] == kind]
        curve = [(row["level"], row["accuracy_percent"]) for row in rows]
        if rows[0]["level"] > 0.0:
            curve = [(0.0, robustness["clean_accuracy_percent"]), *curve]
        seeds = [(row["level"], value) for row in rows for value in row["accuracies_percent"]]
        title = f"Accuracy under {kind.replace('_', ' ')}"
        svg = curve_chart(curve, seeds, FAULT_AXES[kind], title, f"fault-{kind}", within)
        drawn.append((kind.replace("_", " ").capitalize(), Markup(svg)))
    return drawn


def _decision_charts(report: dict[str, Any]) -> dict[str, str]:
    decisions = report["decisions"]
    classes = [one for one in decisions["classes"] if one["samples"]]
    return {
        "timesteps": curve_chart(
            [(one["timestep"], one["accuracy_percent"]) for one in decisions["timesteps"]],
            [(one["mean_timesteps"], one["accuracy_percent"]) for one in decisions["early_exit"]],
            "timesteps",
            "Accuracy over timesteps, and with an early exit",
            "timesteps",
        ),
        "classes": bar_chart(
            [
                Bar(
                    one["name"],
                    [one["accuracy_percent"]],
                    show_percent(one["accuracy_percent"]),
                )
                for one in sorted(classes, key=lambda one: one["accuracy_percent"])[:MOST_CLASSES]
            ],
            100.0,
            "Accuracy of each class, the lowest first",
            "classes",
        ),
    }


def _kinds(layer: dict[str, Any]) -> list[float]:
    keys = ("mac_per_inference", "ac_per_inference", "graded_ac_per_inference")
    return [layer[key] for key in keys]


def _energy_bar(layer: dict[str, Any], total: float) -> Bar:
    value = layer["energy_pj_per_inference"]
    return Bar(
        layer["name"], [value], f"{show_energy(value)} \N{MIDDLE DOT} {100 * value / total:.0f} %"
    )
