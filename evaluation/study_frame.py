"""What stands around the panels of a figure: a heading above them, a legend below."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from .study_figures import SOFT, spread
from .study_plan import Plan

_GAP = 0.1
"""Between panels and what stands around them, in inches."""
EMPTY = "nothing to show"


def frame(figure: Figure, heading: str, keys: Sequence[Artist] = ()) -> None:
    """Add the heading and the legend; the figure grows by them, and its panels keep their size.

    A panel that shows nothing says so.

    Args:
        figure: with all that its panels show.
        heading: what the figure is of, and over what its means are.
        keys: entries of the legend, each with its label; without any there is no legend.
    """
    for axes in figure.axes:
        if axes.axison and not axes.has_data():
            _say_empty(axes)
    figure.align_labels()
    around = [figure.suptitle(heading, x=_GAP / figure.get_figwidth(), ha="left")]
    boxes = [around[0].get_window_extent()]
    if keys:
        boxes.append(_legend(figure, keys).get_window_extent())
    width, height = figure.get_size_inches()
    needed = max(box.width for box in boxes) / figure.dpi + 2 * _GAP
    above_and_below = sum(box.height for box in boxes) / figure.dpi + _GAP * len(boxes)
    figure.set_size_inches(max(width, needed), height + above_and_below)
    around[0].set_x(_GAP / figure.get_figwidth())


def heading_of(plan: Plan) -> str:
    """The recipe, and over what means and bands are."""
    return f"{plan.recipe.name}, {spread(len(plan.seeds))}"


def has_data(figure: Figure) -> bool:
    """Whether any panel shows something."""
    return any(axes.has_data() for axes in figure.axes)


def folded(title: str, width: int) -> str:
    """A name in lines of at most so many letters, where it labels an axis."""
    return fill(title, width)


def _legend(figure: Figure, keys: Sequence[Artist]) -> Legend:
    """In as few rows as the width of the figure allows; wider than it only by a single name."""
    for rows in range(1, len(keys) + 1):
        legend = figure.legend(
            handles=list(keys),
            loc="outside lower left",
            ncols=-(-len(keys) // rows),
            handlelength=3.0,
        )
        if legend.get_window_extent().width <= figure.bbox.width or rows == len(keys):
            break
        legend.remove()
    return legend


def _say_empty(axes: Axes) -> None:
    axes.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
    axes.grid(visible=False)
    axes.text(0.5, 0.5, EMPTY, color=SOFT, ha="center", va="center", transform=axes.transAxes)
