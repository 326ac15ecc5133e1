"""Figures of docs/evidence/win.md, from the summaries that `mpo-study ablation` left.

python -m benchmarks.win benchmarks/results/win docs/evidence
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

FIGURES = {
    "win": {
        "cifar10": "CIFAR-10 (JPEG q75)",
        "mnist": "MNIST",
        "tiny": "Tiny ImageNet",
        "tiny2": "Tiny ImageNet, longer",
        "mnist32": "MNIST, layers of 32",
    },
    "deep": {"deep-vgg16": "VGG-16", "deep-resnet18": "ResNet-18", "deep-resnet19": "ResNet-19"},
}
"""Title of each comparison, by the figure that shows it."""


def main(argv: list[str] | None = None) -> int:
    """Read the summaries and draw."""
    parser = argparse.ArgumentParser(prog="benchmarks.win", description=__doc__)
    parser.add_argument("source", type=Path, help="folder of the summaries")
    parser.add_argument("target", type=Path, help="folder for the figures")
    options = parser.parse_args(argv)
    for name, titles in FIGURES.items():
        _draw(options.source, titles, options.target / f"{name}.svg")
    return 0


def _draw(source: Path, titles: dict[str, str], target: Path) -> None:
    """One column a comparison: its tuning above, both arms below."""
    count = len(titles)
    with calm_style(), matplotlib.rc_context({"svg.fonttype": "none"}):
        figure, axes = panels(2 * count, columns=count, size=(2.1, 2.2))
        for upper, lower, (name, title) in zip(
            axes[:count], axes[count:], titles.items(), strict=True
        ):
            summary, later = _read(source, name), name.replace("deep-", "depth-")
            _tuning(upper, summary)
            upper.set_title(title)
            arms = {
                "tuned slope": _accuracies(summary, "tuned"),
                "MPO": _accuracies(summary, "mpo"),
            }
            if later != name:
                arms["MPO, c by depth"] = _accuracies(_read(source, later), "mpo")
            _seeds(lower, arms)
        axes[0].set_ylabel("held-out accuracy / %")
        axes[count].set_ylabel("test accuracy / %")
        figure.savefig(target, metadata={"Date": None})


def _read(source: Path, name: str) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((source / f"{name}.json").read_text(encoding="utf-8"))
    return summary


def _accuracies(summary: dict[str, Any], arm: str) -> list[float]:
    return [100.0 * accuracy for accuracy in summary["results"][arm]["accuracy"]]


def _tuning(axes: Axes, summary: dict[str, Any]) -> None:
    """Held-out accuracy of every slope of the grid; the one that was chosen is filled."""
    tuning = summary["tuning"]
    slopes = [float(slope) for slope in tuning["validation_accuracy"]]
    for column in range(len(tuning["seeds"])):
        values = [100.0 * runs[column] for runs in tuning["validation_accuracy"].values()]
        axes.plot(slopes, values, "o", ms=3, color=SOFT)
    means = [100.0 * sum(runs) / len(runs) for runs in tuning["validation_accuracy"].values()]
    axes.plot(*zip(*sorted(zip(slopes, means, strict=True)), strict=True), color=SOFT)
    chosen = tuning["chosen_slope_per_volt"]
    axes.plot(chosen, means[slopes.index(chosen)], "o", ms=7, color=SERIES[1])
    axes.set_xscale("log", base=2)
    slopes_shown = [slope for slope in slopes if slope != 3.0 or len(slopes) < 6]
    axes.set_xticks(slopes_shown, [f"{slope:g}" for slope in slopes_shown])
    axes.minorticks_off()
    axes.set_xlabel("fixed slope / (1/V)")


def _seeds(axes: Axes, arms: dict[str, list[float]]) -> None:
    """The arms, every seed joined by a line, means with their 95 % intervals beside."""
    for seed in zip(*arms.values(), strict=True):
        axes.plot(range(len(arms)), seed, color=SOFT, lw=0.8, alpha=0.7)
    last = len(arms) - 1
    for place, values in enumerate(arms.values()):
        n, mean = len(values), sum(values) / len(values)
        half = float(stats.t.ppf(0.975, n - 1) * stats.sem(values))
        beside = {0: -0.15, last: last + 0.15}.get(place, place)
        color = SERIES[1] if place == 0 else SERIES[0]
        axes.errorbar(beside, mean, yerr=half, fmt="o", color=color, capsize=3)
    axes.set_xticks(range(len(arms)), [name.replace(" ", "\n", 1) for name in arms])
    axes.tick_params(axis="x", colors=INK)
    axes.set_xlim(-0.5, last + 0.5)


if __name__ == "__main__":
    sys.exit(main())
