"""The page of a comparison: `comparison.html`, one self-contained file, drawn from its JSON alone.

Every figure on the page stands in a `<data>` element that names the key of `comparison.json` it
comes from (`data-of="rows.1.values.0"`) and holds the exact value beside what is shown.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from .bar_chart import Bar, bar_chart
from .curve_chart import SIGNS, curves_chart
from .group_chart import BarGroup, group_chart
from .page import page_environment
from .page_svg import SERIES
from .quantities import show_density, show_energy

LEGEND = ("mac", "ac", "graded")
"""Classes of the page's style for the colours of `SERIES`, in their order."""


def render_comparison(comparison: dict[str, Any]) -> str:
    """Draw the page.

    Args:
        comparison: what `compare` gave, or the same read back from `comparison.json`.
    """
    names = comparison["names"]
    signs = tuple(SIGNS.values())
    legend = [
        (LEGEND[i % len(SERIES)], signs[i % len(signs)], name) for i, name in enumerate(names)
    ]
    return (
        page_environment()
        .get_template("comparison.html")
        .render(comparison=comparison, legend=legend, charts=_charts(comparison), len=len)
    )


def _charts(comparison: dict[str, Any]) -> dict[str, Markup]:
    """The drawings that have something to show."""
    drawn = {"timesteps": _timesteps(comparison["timesteps"])}
    energies = [energy["high_pj"] for energy in comparison["energies"]]
    if any(energies):
        drawn["energy"] = bar_chart(
            [
                _energy_bar(name, energy)
                for name, energy in zip(comparison["names"], comparison["energies"], strict=True)
            ],
            max(energy or 0.0 for energy in energies),
            "Energy of each network per inference",
            "energy",
        )
    densities = [value for layer in comparison["layers"] for value in layer["densities"]]
    if densities:
        drawn["density"] = group_chart(
            [
                BarGroup(
                    layer["name"], layer["densities"], [*map(show_density, layer["densities"])]
                )
                for layer in comparison["layers"]
            ],
            max(densities),
            "Spike density of each layer in each network",
            "density",
        )
    return {name: Markup(svg) for name, svg in drawn.items()}


def _energy_bar(name: str, energy: dict[str, float | None]) -> Bar:
    value, low, high = (energy[key] for key in ("value_pj", "low_pj", "high_pj"))
    if value is None or low is None or high is None:
        return Bar(name, None, show_energy(value))
    if low == high:
        return Bar(name, [value], show_energy(value))
    return Bar(name, [value], f"{show_energy(low)} to {show_energy(high)}", (low, high))


def _timesteps(curves: list[list[dict[str, float]]]) -> str:
    found = [step["accuracy_percent"] for curve in curves for step in curve]
    lowest = min(found) - max(1.0, 0.08 * (max(found) - min(found)))
    highest = max(found) + 0.08 * (max(found) - lowest)  # so near that no tick is above 100 %
    return curves_chart(
        [[(step["timestep"], step["accuracy_percent"]) for step in curve] for curve in curves],
        "timesteps",
        "Accuracy of each network over timesteps",
        "timesteps",
        (lowest, highest),
    )
