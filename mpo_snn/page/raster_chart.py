"""Spike raster of a page: one row a neuron, one tick a spike, layer under layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

from .rows import AXIS_PT, axes_below_rows, write_row
from .svg import SERIES, TRACK, page_figure, page_svg

ROW_PT = 3.4
TITLE_PT = 20.0


@dataclass(frozen=True)
class RasterLayer:
    """Spikes of some neurons of one layer.

    Attributes:
        name: of the layer.
        note: beside it.
        neurons: how many rows there are.
        spikes: (timestep from 0, row) of every spike.
    """

    name: str
    note: str
    neurons: int
    spikes: Sequence[tuple[int, int]]


def raster_chart(layers: Sequence[RasterLayer], timesteps: int, title: str, prefix: str) -> str:
    """Draw the layers from top to bottom over one axis of time.

    Args:
        layers: in the order in which signals pass through them.
        timesteps: T.
        title: said to those who do not see the drawing.
        prefix: makes the ids in the drawing unique within a page.

    Returns:
        an `<svg>` element, without references to anything outside.
    """
    height = sum(TITLE_PT + ROW_PT * layer.neurons for layer in layers)
    ends = (0.4, timesteps + 0.6)
    with page_figure(height + AXIS_PT, prefix) as figure:
        axes = axes_below_rows(figure, height, ends, "timestep")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        top = 0.0
        for layer in layers:
            write_row(axes, layer.name, layer.note, top)
            top += TITLE_PT
            rows = ROW_PT * layer.neurons
            axes.fill_between(ends, top, top + rows, color=TRACK, linewidth=0)
            if layer.spikes:
                times, neurons = zip(*layer.spikes, strict=True)
                width = min(0.8, 0.12 * timesteps / 4 + 0.08)
                axes.barh(
                    [top + ROW_PT * (n + 0.5) for n in neurons],
                    width,
                    height=ROW_PT * 0.8,
                    left=[t + 1 - width / 2 for t in times],
                    color=SERIES[0],
                    linewidth=0,
                )
            top += rows
        return page_svg(figure, title, prefix)
