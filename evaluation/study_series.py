"""How each configuration looks in a figure: the n-th always the same, no two alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.lines import Line2D

from .study_figures import SERIES
from .study_plan import Configuration

_LINES, _DOTS = ("-", "--", ":", "-."), ("o", "s", "^", "D", "v")
_BAND, _ALL_BANDS = 0.15, 0.6
"""Opacity of a band, and of all bands where they lie on one another."""


@dataclass(frozen=True)
class Series:
    """A configuration as a figure shows it.

    Attributes:
        name: of the configuration.
        title: what the legend calls it.
        look: of its line: colour, line style, marker.
        shade: opacity of its band.
    """

    name: str
    title: str
    look: Mapping[str, Any]
    shade: float

    @property
    def key(self) -> Line2D:
        """Its entry in a legend."""
        return Line2D([], [], label=self.title, **self.look)


def look_of(n: int, dots: bool = True) -> dict[str, Any]:
    """Colour, line style and marker of the n-th series, from 0.

    With every lap through the colours come another line style and another marker. Lines tell 28
    series apart, markers 35, both together 140.
    """
    lap, color = divmod(n, len(SERIES))
    look = {"color": SERIES[color], "linestyle": _LINES[lap % len(_LINES)]}
    return look | ({"marker": _DOTS[lap % len(_DOTS)], "markersize": 3.5} if dots else {})


def series_of(configurations: Sequence[Configuration], dots: bool = True) -> list[Series]:
    """All configurations with their looks; `dots`: whether lines have markers."""
    shade = min(_BAND, _ALL_BANDS / max(1, len(configurations)))
    return [
        Series(configuration.name, configuration.title, look_of(n, dots), shade)
        for n, configuration in enumerate(configurations)
    ]
