"""Figure of docs/evidence/rivals.md, from the summaries that `mpo-study ablation` left.

python -m benchmarks.rivals benchmarks/results/rivals docs/evidence
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from scipy import stats

from mpo_snn.evaluation.study_figures import INK, SERIES, SOFT, calm_style, panels

COMPARISONS = {
    "mnist": "MNIST, dense",
    "cifar10": "CIFAR-10, dense",
    "convnet": "CIFAR-10, convolutions, batchnorm",
}
METHODS = {
    "mpo": "MPO",
    "full": "the paper's whole method",
    "dietsnn": "Diet-SNN",
    "dspike": "Dspike",
    "klif-tuned": "KLIF",
    "lsg-tuned": "LSG",
    "recdis-tuned": "RecDis",
    "tdbn": "tdBN",
}
"""How each configuration is called, from above."""


def main(argv: list[str] | None = None) -> int:
    """Read the summaries and draw."""
    parser = argparse.ArgumentParser(prog="benchmarks.rivals", description=__doc__)
    parser.add_argument("source", type=Path, help="folder of the summaries")
    parser.add_argument("target", type=Path, help="folder for the figure")
    options = parser.parse_args(argv)
    with calm_style(), matplotlib.rc_context({"svg.fonttype": "none"}):
        figure, axes = panels(len(COMPARISONS), columns=len(COMPARISONS), size=(3.4, 2.8))
        for one, (name, title) in zip(axes, COMPARISONS.items(), strict=True):
            text = (options.source / f"{name}.json").read_text(encoding="utf-8")
            _differences(one, json.loads(text), first=one is axes[0])
            one.set_title(title)
        figure.savefig(options.target / "rivals.svg", metadata={"Date": None})
    return 0


def _differences(axes: Axes, summary: dict[str, Any], first: bool) -> None:
    """A row a method: its difference to the tuned slope seed by seed, the mean and its interval."""
    tuned = summary["results"]["tuned"]["accuracy"]
    slope = summary["tuning"]["chosen_slope_per_volt"]
    for row, name in enumerate(METHODS):
        if name not in summary["results"]:
            continue
        pairs = zip(summary["results"][name]["accuracy"], tuned, strict=True)
        values = [100.0 * (own - other) for own, other in pairs]
        half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
        mean = sum(values) / len(values)
        axes.plot(values, [row] * len(values), "|", ms=7, color=SOFT)
        axes.errorbar(mean, row, xerr=half, fmt="o", color=SERIES[name != "mpo"], capsize=3)
    axes.axvline(0.0, color=INK, lw=0.8)
    axes.set_yticks(range(len(METHODS)), METHODS.values() if first else [""] * len(METHODS))
    axes.tick_params(axis="y", length=0, colors=INK)
    axes.set_ylim(len(METHODS) - 0.5, -0.5)
    axes.set_xlabel(f"points above slope {slope:g} /V")


if __name__ == "__main__":
    sys.exit(main())
