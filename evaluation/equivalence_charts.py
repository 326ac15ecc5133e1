"""The equivalence record as pictures: where spikes differ, and how close to threshold that began.

- A strip per layer with a cell per timestep (a span of them, where there are many): the darker,
  the more spikes differ in the free run.
- The distances from threshold at which neurons first differed in layer replay, by power of ten
  and on a logarithmic scale, with the distance up to which rounding explains one without further
  proof.
"""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

from mpo_snn.page.quantities import show_count
from mpo_snn.page.rows import write_row
from mpo_snn.page.svg import FONT_PT, INK, SERIES, SOFT, TRACK, bare_axes, page_figure, page_svg

PRECISIONS = {"float64": 1e-9, "float32": 1e-4}
"""What is drawn, with the distance that rounding explains."""
ROW_PT, STRIP_PT, FOOT_PT = 40.0, 12.0, 18.0
HISTOGRAM_PT, BASE_PT = 130.0, 100.0
MOST_CELLS = 60
DECADES_BELOW = 6
"""How far below the explained distance the histogram goes; its first bar holds what is nearer."""
FAINTEST = 0.25
"""Opacity of a cell with a single differing spike."""


def equivalence_charts(record: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The pictures of each precision, for the page: its name, strips, and histogram or None.

    Args:
        record: what the exporter recorded; one without the counts by timestep has no pictures.
    """
    pictures = []
    for precision in PRECISIONS:
        part = (record or {}).get(precision)
        if not isinstance(part, dict) or "differing_by_timestep" not in part:
            continue
        distances = part.get("roots_by_distance") or {}
        pictures.append(
            {
                "precision": precision,
                "strips": Markup(_strips(precision, part, int((record or {})["timesteps"]))),
                "histogram": Markup(_histogram(precision, distances)) if distances else None,
            }
        )
    return pictures


def cells(counts: list[int], timesteps: int) -> list[int]:
    """Differing spikes in each cell of a strip, which spans some timesteps, the last one fewer."""
    span = math.ceil(timesteps / MOST_CELLS)
    counts = counts or [0] * timesteps
    return [sum(counts[start : start + span]) for start in range(0, timesteps, span)]


def _strips(precision: str, part: dict[str, Any], timesteps: int) -> str:
    layers, differing = part["layers"], part["differing_by_timestep"]
    rows = {row["layer"]: cells(differing.get(row["layer"], []), timesteps) for row in layers}
    most = max((max(row) for row in rows.values()), default=0)
    height = len(layers) * ROW_PT + FOOT_PT
    title = f"Spikes that differ in {precision}, by layer and timestep"
    prefix = f"strips-{precision}"
    with page_figure(height, prefix) as figure:
        axes = bare_axes(figure, height)
        for i, layer in enumerate(layers):
            found, entries = show_count(layer["differing"]), show_count(layer["entries"])
            write_row(axes, layer["layer"], f"{found} of {entries}", i * ROW_PT)
            _strip(axes, rows[layer["layer"]], most, i * ROW_PT + 21)
        foot: dict[str, Any] = {"fontsize": 0.85 * FONT_PT, "color": SOFT, "va": "baseline"}
        base = len(layers) * ROW_PT + 12
        axes.text(0, base, "timestep 0", ha="left", **foot)
        axes.text(1, base, f"{timesteps - 1}", ha="right", **foot)
        return page_svg(figure, title, prefix)


def _strip(axes: Any, row: list[int], most: int, top: float) -> None:
    width, gap = 1 / len(row), 0.004 if len(row) <= 30 else 0.0
    middle = top + STRIP_PT / 2
    for i, count in enumerate(row):
        at: dict[str, Any] = {"left": i * width, "height": STRIP_PT, "linewidth": 0}
        axes.barh(middle, width - gap, color=TRACK, **at)
        if count:
            depth = math.log1p(count) / math.log1p(most)
            alpha = FAINTEST + (1 - FAINTEST) * depth
            axes.barh(middle, width - gap, color=SERIES[0], alpha=alpha, **at)


def _histogram(precision: str, distances: dict[str, dict[str, int]]) -> str:
    bound = round(math.log10(PRECISIONS[precision]))
    first = bound - DECADES_BELOW
    total: dict[int, int] = {}
    for counts in distances.values():
        for power, count in counts.items():
            at = max(int(power), first)
            total[at] = total.get(at, 0) + count
    last = max(*total, bound)
    width = 1 / (last - first + 1)
    tallest = math.log1p(max(total.values()))
    title = f"Distance from threshold of the first differences in {precision}"
    prefix = f"distances-{precision}"
    small: dict[str, Any] = {"fontsize": 0.85 * FONT_PT, "va": "baseline"}
    with page_figure(HISTOGRAM_PT, prefix) as figure:
        axes = bare_axes(figure, HISTOGRAM_PT)
        axes.barh(BASE_PT, 1, height=1, color=TRACK, linewidth=0)
        for decade, count in total.items():
            height = (BASE_PT - 34) * math.log1p(count) / tallest
            left, middle = (decade - first) * width, BASE_PT - height / 2
            axes.barh(middle, width * 0.8, left=left, height=height, color=SERIES[0], linewidth=0)
            number = {"ha": "center", "color": INK, **small}
            axes.text(left + 0.4 * width, BASE_PT - height - 4, show_count(count), **number)
        edge = (bound - first) * width - 0.1 * width
        axes.plot([edge, edge], [16, BASE_PT], color=SOFT, linewidth=1)
        axes.text(edge, 11, "rounding explains these", ha="right", color=SOFT, **small)
        for decade in range(first + 1, last + 1, math.ceil((last - first) / 7)):
            edge = (decade - first) * width - 0.1 * width
            axes.text(edge, BASE_PT + 16, f"1e{decade}", ha="center", color=SOFT, **small)
        return page_svg(figure, title, prefix)
