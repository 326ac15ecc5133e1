"""Which drawings a page ought to have, told from the JSON file that was written beside it.

Said here a second time, and not asked of what draws the page: a drawing that the page forgot, or
that somebody cut out of it, is missed.
"""

from __future__ import annotations

import math
from typing import Any

PRECISIONS = ("float64", "float32")
NODES_OF_A_DRAWING = 14
MOST_CLASSES = 20
"""Where there are more, a list stands for the drawing of what they are taken for."""


def expected_drawings(told: dict[str, Any]) -> list[str]:
    """Titles of the drawings (`aria-label`), in the order of the page.

    Args:
        told: content of a report.json or a comparison.json.
    """
    return _of_comparison(told) if "energies" in told else _of_report(told)


def _of_report(report: dict[str, Any]) -> list[str]:
    total, sample = report["total"], report["sample"]
    titles = min(3, math.ceil(len(report["graph"]["nodes"]) / NODES_OF_A_DRAWING)) * ["The graph"]
    if total["neurons"]:
        titles.append("Spike density of each layer")
    if total["energy_pj_per_inference"]:
        titles.append("Operations of each layer per inference, by kind")
        titles.append("Energy of each layer per inference")
    if sample is not None and sample["layers"]:
        titles += ["Spikes of one sample", "Membranes of one sample"]
    titles.append("Accuracy over timesteps, and with an early exit")
    titles.append("Accuracy of each class, the lowest first")
    if len(report["decisions"]["confusion"]) <= MOST_CLASSES:
        titles.append("What each class is taken for")
    levels = (report["robustness"] or {"levels": []})["levels"]
    kinds = dict.fromkeys(level["kind"].replace("_", " ") for level in levels)
    titles += [f"Accuracy under {kind}" for kind in kinds]
    return titles + _of_equivalence(report["equivalence"] or {})


def _of_equivalence(record: dict[str, Any]) -> list[str]:
    titles = []
    for precision in PRECISIONS:
        compared = record.get(precision) or {}
        if "differing_by_timestep" in compared:
            titles.append(f"Spikes that differ in {precision}, by layer and timestep")
            if compared.get("roots_by_distance"):
                titles.append(f"Distance from threshold of the first differences in {precision}")
    return titles


def _of_comparison(comparison: dict[str, Any]) -> list[str]:
    titles = []
    if any(energy["high_pj"] for energy in comparison["energies"]):
        titles.append("Energy of each network per inference")
    titles.append("Accuracy of each network over timesteps")
    columns = min(3, math.ceil(len(comparison["layers"]) / 4))
    return titles + columns * ["Spike density of layers in each network"]
