"""The page of a comparison: `comparison.html`, one self-contained file, drawn from its JSON alone.

Every figure on the page stands in a `<data>` element that names the key of `comparison.json` it
comes from (`data-of="rows.1.values.0"`) and holds the exact value beside what is shown.
"""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

from mpo_snn.page.bar_chart import Bar, bar_chart
from mpo_snn.page.curve_chart import SIGNS, curves_chart
from mpo_snn.page.environment import page_environment
from mpo_snn.page.group_chart import BarGroup, group_chart
from mpo_snn.page.quantities import show_density, show_energy
from mpo_snn.page.svg import COMPARED

from .page import TEMPLATES

LEGEND = ("first", "second", "third")
"""Classes of the page's style for the colours of `COMPARED`, in their order."""
COLUMNS = 3
FEWEST_ROWS = 4
"""Layers that a column of densities has at least before another one is begun."""


def render_comparison(comparison: dict[str, Any]) -> str:
    """Draw the page.

    Args:
        comparison: what `compare` gave, or the same read back from `comparison.json`.
    """
    names = comparison["names"]
    signs = tuple(SIGNS.values())
    legend = [
        (LEGEND[i % len(COMPARED)], signs[i % len(signs)], name) for i, name in enumerate(names)
    ]
    return (
        page_environment(TEMPLATES)
        .get_template("comparison.html")
        .render(
            comparison=comparison,
            legend=legend,
            charts=_charts(comparison),
            densities=_densities(comparison),
            most=show_density(_most(comparison)),
            has_spans=any(one["low_pj"] != one["high_pj"] for one in comparison["energies"]),
        )
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
    return {name: Markup(svg) for name, svg in drawn.items()}


def _densities(comparison: dict[str, Any]) -> list[Markup]:
    """The density of each layer in each network, in up to three columns of layers."""
    layers = comparison["layers"]
    if not layers:
        return []
    most = _most(comparison)
    rows = math.ceil(len(layers) / min(COLUMNS, math.ceil(len(layers) / FEWEST_ROWS)))
    groups = [
        BarGroup(layer["name"], layer["densities"], [*map(show_density, layer["densities"])])
        for layer in layers
    ]
    title = "Spike density of layers in each network"
    return [
        Markup(group_chart(groups[start : start + rows], most, title, f"density-{start}"))
        for start in range(0, len(groups), rows)
    ]


def _most(comparison: dict[str, Any]) -> float:
    return max(
        (value for layer in comparison["layers"] for value in layer["densities"]), default=0.0
    )


def _energy_bar(name: str, energy: dict[str, float | None]) -> Bar:
    value, low, high = (energy[key] for key in ("value_pj", "low_pj", "high_pj"))
    if value is None or low is None or high is None:
        return Bar(name, None, show_energy(value))
    if low == high:
        return Bar(name, [value], show_energy(value))
    label = f"{show_energy(value)} ({show_energy(low)} to {show_energy(high)})"
    return Bar(name, [value], label, (low, high))


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
