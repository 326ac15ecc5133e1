"""Drawings that become a part of the page: SVG in the page's own colours and font.

matplotlib draws with stand-in colours, which then become CSS variables of the page: the same
drawing is legible in light, in dark and in print. Text stays text in the page's own font. Every
drawing is as wide as a phone; a wide page puts several side by side.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.figure import Figure

WIDTH_PT = 340.0
FONT_PT = 12.5

_COLOURS = {
    "#010001": "var(--ink)",
    "#010002": "var(--ink-soft)",
    "#010003": "var(--track)",
    "#010004": "var(--accent)",
    "#010005": "var(--accent-mid)",
    "#010006": "var(--accent-pale)",
}
INK, SOFT, TRACK, *SERIES = _COLOURS
"""Stand-ins: of text, of text beside it, of what lies behind, and of three kinds of marks."""
COMPARED = (SERIES[0], SOFT, SERIES[1])
"""Of marks that stand for networks beside each other, further apart than those of one whole."""


@contextmanager
def page_figure(height_pt: float, prefix: str) -> Iterator[Figure]:
    """A figure without a frame, as wide as a phone, to draw into.

    Args:
        height_pt: its height in points.
        prefix: makes the ids in the drawing unique within a page.
    """
    style: Any = {"svg.fonttype": "none", "svg.hashsalt": prefix, "font.size": FONT_PT}
    with matplotlib.rc_context(style):
        yield Figure(figsize=(WIDTH_PT / 72, height_pt / 72), frameon=False)


def bare_axes(figure: Figure, height_pt: float) -> Any:
    """Axes that fill a figure of this height: 1 wide, in points from the top down, undrawn."""
    axes = figure.add_axes((0, 0, 1, 1), frameon=False)
    axes.set(xlim=(0, 1), ylim=(height_pt, 0))
    axes.set_axis_off()
    return axes


def page_svg(figure: Figure, title: str, prefix: str) -> str:
    """The figure as an `<svg>` element, without references to anything outside.

    Args:
        figure: made and drawn within `page_figure`.
        title: said to those who do not see the drawing.
        prefix: that of `page_figure`.
    """
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the page has its font
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return _for_the_page(target.getvalue().decode(), title, prefix)


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
