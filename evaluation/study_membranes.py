"""The figure of membranes over the epochs (Figure 4): one row a configuration, one column a layer.

All rows of a layer have one scale, so that heights can be compared. A peak that would flatten all
others is cut off and told; what lies beyond the ends of the x axis is told too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median_low
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from mpo_snn.training.probe import BINS_PER_THRESHOLD, FARTHEST, bin_edges

from .study_figures import INK, SERIES, SOFT, mean_of
from .study_frame import frame
from .study_layer_grid import layer_grid, shown
from .study_plan import Configuration, Plan
from .study_watched import Seen

_SHADES = (SOFT, SERIES[5], SERIES[0])
_THRESHOLD: dict[str, Any] = {"color": INK, "lw": 0.8, "ls": ":"}
_FEW = 0.001
"""Share of a membrane that may lie beyond either end of the x axis."""
_TALL = 2.0
"""A peak may be so many times as high as the median one of its layer."""

Shares = Mapping[float, float]
"""By left edge of a bin, in thresholds, the share of a membrane."""


def membranes(plan: Plan, configurations: Sequence[Configuration], seen: Seen) -> Figure:
    """Histograms of the first, the middle and the last epoch, mean over seeds."""
    layers, last = shown(seen.layers("membrane_share")), plan.recipe.epochs
    epochs = sorted({1, (last + 1) // 2, last})
    colors = dict(zip(epochs, _SHADES[-len(epochs) :], strict=True))
    figure, grid = layer_grid(configurations, layers, "density", "membrane / threshold")
    found = [
        [
            [seen.shares(c.name, layer, epoch, _seeds(seen, c, last)) for epoch in epochs]
            for c in configurations
        ]
        for layer in layers
    ]
    every = [shares for column in found for row in column for shares in row]
    low, high, beyond = reach(every)
    for column, rows in enumerate(found):
        panels = [row[column] for row in grid]
        for panel, histograms in zip(panels, rows, strict=True):
            for shares, color in zip(histograms, colors.values(), strict=True):
                panel.plot(*_steps(shares), color=color, lw=1.3, drawstyle="steps-post")
            panel.axvline(1.0, **_THRESHOLD)
        panels[0].set_xlim(low, high)
        panels[0].xaxis.set_major_locator(MultipleLocator(2))
        _common_scale(panels, [max(map(_peak, histograms)) for histograms in rows])
    keys = [Line2D([], [], color=c, lw=1.3, label=f"epoch {e}") for e, c in colors.items()]
    told = f"; at most {_up(100 * beyond)} % of a membrane lies beyond the x axis" if beyond else ""
    frame(
        figure,
        f"{plan.recipe.name}, {mean_of(len(plan.seeds))}{told}",
        [*keys, Line2D([], [], label="threshold", **_THRESHOLD)],
    )
    return figure


def reach(histograms: Sequence[Shares]) -> tuple[int, int, float]:
    """Whole numbers of thresholds between which nearly all of every membrane lies.

    Returns:
        lower and upper end, and the largest share of a membrane outside of them.
    """

    def below(end: int) -> float:
        return max(sum(s for edge, s in shares.items() if edge < end) for shares in histograms)

    def above(end: int) -> float:
        return max(sum(s for edge, s in shares.items() if edge >= end) for shares in histograms)

    low = max(end for end in range(-FARTHEST, 1) if end == -FARTHEST or below(end) <= _FEW)
    high = min(end for end in range(2, FARTHEST + 1) if end == FARTHEST or above(end) <= _FEW)
    outside = [
        sum(s for edge, s in shares.items() if not low <= edge < high) for shares in histograms
    ]
    return low, high, max(outside)


def _common_scale(panels: Sequence[Axes], peaks: Sequence[tuple[float, float]]) -> None:
    """One y axis for all panels of a layer, as high as all peaks but those that stand out."""
    heights = [height for height, _ in peaks if height] or [1.0]
    top = 1.08 * min(max(heights), _TALL * median_low(heights))
    panels[0].set_ylim(0.0, top)
    for panel, (height, place) in zip(panels, peaks, strict=True):
        if height > top:
            style: dict[str, Any] = {"fontsize": 7.5, "va": "top", "transform": panel.transAxes}
            left = place > sum(panel.get_xlim()) / 2
            x, side = (0.03, "left") if left else (0.97, "right")
            panel.text(x, 0.96, f"cut off, up to {height:.2g}", ha=side, **style)


def _seeds(seen: Seen, configuration: Configuration, last: int) -> int:
    return len(seen.curve("test_accuracy", configuration.name)[float(last)])


def _steps(shares: Shares) -> tuple[list[float], list[float]]:
    """Edges of all bins, and the density of the membrane in each, per threshold."""
    heights = [_density(shares.get(edge, 0.0)) for edge in bin_edges()]
    return [*bin_edges(), float(FARTHEST)], [*heights, heights[-1]]


def _peak(shares: Shares) -> tuple[float, float]:
    """Height and place of the highest bin."""
    places, heights = _steps(shares)
    return max(zip(heights, places, strict=True))


def _density(share: float) -> float:
    return share * BINS_PER_THRESHOLD


def _up(percent: float) -> str:
    """Rounded up to two digits behind the point."""
    return f"{math.ceil(100 * percent - 1e-9) / 100:g}"
