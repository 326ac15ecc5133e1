"""Charts: horizontal bars per layer, as SVG that is written straight into the page.

matplotlib draws them with stand-in colours, which then become CSS variables of the page: the same
drawing is legible in light, in dark and in print. Text stays text in the page's own font. Every
chart is as wide as a phone; a wide page puts several side by side.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.figure import Figure

WIDTH_PT = 340.0
ROW_PT = 38.0
BAR_PT = 7.0
LONGEST_NAME = 26

_COLOURS = {
    "#010001": "var(--ink)",
    "#010002": "var(--ink-soft)",
    "#010003": "var(--track)",
    "#010004": "var(--accent)",
    "#010005": "var(--accent-mid)",
    "#010006": "var(--accent-pale)",
}
_INK, _SOFT, _TRACK, *_SERIES = _COLOURS


@dataclass(frozen=True)
class Bar:
    """One row of a chart.

    Attributes:
        name: what the bar stands for.
        parts: lengths of its parts, >= 0; None where the row has no value.
        label: the value in words, at the end of the row.
    """

    name: str
    parts: Sequence[float] | None
    label: str


def bar_chart(bars: Sequence[Bar], whole: float, title: str, prefix: str) -> str:
    """Draw one bar per row on a pale track, its name and value above it.

    Args:
        bars: the rows, from top to bottom.
        whole: what the full length of a track stands for.
        title: said to those who do not see the drawing.
        prefix: makes the ids in the drawing unique within a page.

    Returns:
        an `<svg>` element, without references to anything outside.
    """
    height = ROW_PT * max(len(bars), 1)
    style: Any = {"svg.fonttype": "none", "svg.hashsalt": prefix, "font.size": 12.5}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(WIDTH_PT / 72, height / 72), frameon=False)
        axes = figure.add_axes((0, 0, 1, 1), frameon=False)
        axes.set(xlim=(0, 1), ylim=(height, 0))
        axes.set_axis_off()
        for row, bar in enumerate(bars):
            _draw(axes, bar, top=row * ROW_PT, scale=1 / whole if whole else 0.0)
        target = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # the page has its font
            figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return _for_the_page(target.getvalue().decode(), title, prefix)


def _draw(axes: Any, bar: Bar, *, top: float, scale: float) -> None:
    text: dict[str, Any] = {"fontsize": 12.5, "va": "baseline", "parse_math": False}
    axes.text(0, top + 14, shorten(bar.name), color=_INK, ha="left", **text)
    axes.text(1, top + 14, bar.label, color=_SOFT, ha="right", **text)
    if bar.parts is None:
        return
    middle = top + 14 + 7 + BAR_PT / 2
    axes.barh(middle, 1, height=BAR_PT, color=_TRACK, linewidth=0)
    left = 0.0
    for part, colour in zip(bar.parts, _SERIES, strict=False):
        axes.barh(middle, part * scale, left=left, height=BAR_PT, color=colour, linewidth=0)
        left += part * scale


def shorten(name: str, longest: int = LONGEST_NAME) -> str:
    """A name that fits, with its middle left out if it is too long."""
    if len(name) <= longest:
        return name
    keep = longest - 1
    return f"{name[: keep // 2]}\N{HORIZONTAL ELLIPSIS}{name[-(keep - keep // 2) :]}"


def _for_the_page(svg: str, title: str, prefix: str) -> str:
    """Keep the `<svg>` element alone, with the page's colours, font and size."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;]*; ", "", svg)
    for stand_in, variable in _COLOURS.items():
        svg = svg.replace(stand_in, variable)
    label = _escape(title)
    return re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        rf'<svg role="img" aria-label="{label}" viewBox="\1">',
        svg,
        count=1,
    ).strip()


def _escape(text: str) -> str:
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), ('"', "&quot;")):
        text = text.replace(sign, entity)
    return text.replace("\\", "\\\\")
