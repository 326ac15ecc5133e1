"""The figure of `benchmarks.growth`: time above, memory below, one axis a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes

from mpo_snn.evaluation.study_figures import SERIES, SOFT, calm_style, panels

LABELS = {
    "timesteps": "timesteps",
    "width": "channels of every layer",
    "depth": "layers",
    "batch": "batch",
}
SHOWN = ("mpo-snn + MPO", "spikingjelly multi-step", "snntorch loop")
NAMES = ("mpo-snn, with MPO", "SpikingJelly", "snnTorch loop")


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the rows of a result file as SVG."""
    columns = len(LABELS) + 1
    with calm_style(), matplotlib.rc_context({"svg.fonttype": "none"}):
        figure, axes = panels(2 * columns, columns=columns, size=(2.2, 2.2))
        for column, axis in enumerate(LABELS):
            found = {
                row["case"]["value"]: row["figures"] for row in rows if row["case"]["axis"] == axis
            }
            _lines(axes[column], found, "median_s", 1e3)
            _lines(axes[columns + column], found, "peak_memory_bytes", 2.0**-20)
            axes[columns + column].set_xlabel(LABELS[axis])
        _processes(axes[columns - 1], rows)
        axes[2 * columns - 1].set_axis_off()
        axes[0].set_ylabel("a training step / ms")
        axes[columns].set_ylabel("peak memory / MiB")
        handles, _ = axes[0].get_legend_handles_labels()
        axes[2 * columns - 1].legend(handles=handles, loc="center")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})


def _lines(axes: Axes, found: Mapping[int, Any], key: str, unit: float) -> None:
    for name, label, color in zip(SHOWN, NAMES, SERIES, strict=False):
        points = {x: unit * f[name][key] for x, f in sorted(found.items()) if name in f}
        if points:
            axes.plot(list(points), list(points.values()), "o-", ms=3, color=color, label=label)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sorted(found), [str(x) for x in sorted(found)])
    axes.minorticks_off()


def _processes(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """An epoch by the clock, and where it would be if nothing but the work were there."""
    found = {
        row["case"]["value"]: row["figures"]["mpo-train"]["seconds_per_epoch"]
        for row in sorted(rows, key=lambda row: row["case"]["value"])
        if row["case"]["axis"] == "processes"
    }
    if found:
        counts = list(found)
        axes.plot(counts, list(found.values()), "o-", ms=3, color=SERIES[0])
        shared = [found[counts[0]] * counts[0] / count for count in counts]
        axes.plot(counts, shared, ":", color=SOFT, label="shared evenly")
        axes.set_xticks(counts)
        axes.set_ylim(bottom=0.0)
        axes.legend()
    axes.set_ylabel("an epoch / s")
    axes.set_xlabel("processes")
