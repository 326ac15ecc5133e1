"""Rows of a drawing, layer under layer: what each is called, and one axis below them all."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from .svg import FONT_PT, INK, SOFT, WIDTH_PT

LONGEST_NAME = 26
AXIS_PT = 40.0
"""Height of the axis below the rows."""
MARGIN_PT = 4.0


def axes_below_rows(figure: Figure, rows_pt: float, ends: tuple[float, float], label: str) -> Any:
    """Axes for rows of this height together, in points from the top down, over one x axis.

    Args:
        figure: `rows_pt` + `AXIS_PT` high.
        rows_pt: height of all rows in points.
        ends: of the x axis.
        label: of the x axis.
    """
    height = rows_pt + AXIS_PT
    margin = MARGIN_PT / WIDTH_PT
    axes = figure.add_axes(
        (margin, AXIS_PT / height, 1 - 2 * margin, rows_pt / height), frameon=False
    )
    axes.set(xlim=ends, ylim=(rows_pt, 0))
    axes.set_yticks([])
    axes.tick_params(length=0, colors=SOFT, labelcolor=SOFT)
    axes.set_xlabel(label, color=INK)
    return axes


def write_row(axes: Any, name: str, label: str, top: float, longest: int = LONGEST_NAME) -> None:
    """Write a name at the left and a value at the right, on the first line below `top`."""
    text: dict[str, Any] = {"fontsize": FONT_PT, "va": "baseline", "parse_math": False}
    text["transform"] = axes.get_yaxis_transform()  # x from 0 to 1, whatever the axis shows
    axes.text(0, top + 14, shorten(name, longest), color=INK, ha="left", **text)
    axes.text(1, top + 14, label, color=SOFT, ha="right", **text)


def shorten(name: str, longest: int = LONGEST_NAME) -> str:
    """A name that fits, with its middle left out if it is too long."""
    if len(name) <= longest:
        return name
    keep = longest - 1
    return f"{name[: keep // 2]}\N{HORIZONTAL ELLIPSIS}{name[-(keep - keep // 2) :]}"
