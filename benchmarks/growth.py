"""How the cost of a training step grows: with timesteps, width, depth, batch and processes.

    python -m benchmarks.growth [--device cpu|cuda] [--again]
    python -m benchmarks.growth --figure docs/images/growth.svg      # draws what was measured

One plain network, 3x3 convolution, batchnorm and LIF `depth` times on maps of 16x16; each axis
moves one of the four numbers of `BASE` alone. `processes` times whole runs of mpo-train by the
clock, one CPU thread each, on the machine that there is: beyond its cores nothing can be won.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.gpu.throughput import PEERS
from benchmarks.growth_figure import draw
from benchmarks.measure import Results, add_common_options, peak_memory, take_turns
from benchmarks.networks import NEURON, builders
from benchmarks.training_step import training_step
from mpo_snn.networks.neuron import build_neuron

BASE = {"timesteps": 4, "width": 32, "depth": 4, "batch": 16}
AXES: dict[str, tuple[int, ...]] = {
    "timesteps": (1, 2, 4, 8, 16, 32, 64),
    "width": (8, 16, 32, 64, 128),
    "depth": (1, 2, 4, 8, 16),
    "batch": (1, 4, 16, 64),
    "processes": (1, 2),
}
SIDE, CLASSES = 16, 10
EPOCHS = (1, 4)
"""A run of each length: their difference has no start-up in it."""


def main(argv: list[str] | None = None) -> int:
    """Measure what has no result yet, or draw."""
    parser = argparse.ArgumentParser(prog="benchmarks.growth", description=__doc__)
    add_common_options(parser)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--axis", nargs="+", choices=tuple(AXES), default=list(AXES))
    parser.add_argument("--values", type=int, nargs="+", help="on every axis, in place of its own")
    parser.add_argument("--figure", type=Path, help="draw the results there, measure nothing")
    options = parser.parse_args(argv)
    results = Results("growth", options)
    if options.figure:
        draw(results.rows, options.figure)
        return 0
    torch.set_num_threads(options.threads)
    for axis in options.axis:
        for value in options.values or AXES[axis]:
            case = {"axis": axis, "value": value}
            if results.is_wanted(case):
                row = (
                    measure_processes(value, options)
                    if axis == "processes"
                    else measure_step({**BASE, axis: value}, options)
                )
                results.add(case, row)
                _show(row["figures"])
    return 0


def measure_step(size: dict[str, int], options: argparse.Namespace) -> dict[str, Any]:
    """Seconds and bytes of a step of this size, of every library that is there."""
    torch.manual_seed(options.seed)
    network = stack(size["depth"], size["width"])
    image = torch.rand(size["batch"], 3, SIDE, SIDE).to(options.device)
    label = torch.randint(CLASSES, (size["batch"],)).to(options.device)
    runs: dict[str, Callable[[], None]] = {}
    skipped: dict[str, str] = {}
    for name, build in builders(size["timesteps"]).items():
        try:
            variant = build(network)
        except ImportError as error:
            skipped[name] = str(error)
            continue
        variant.module.to(options.device)
        runs[name] = training_step(variant, image, label, "fp32")
    times = take_turns(runs, options.device, options.repetitions)
    figures = {
        name: {
            "median_s": times[name]["median_s"],
            "peak_memory_bytes": peak_memory(run, options.device),
            "speed_up_over": {
                peer: times[peer]["median_s"] / times[name]["median_s"]
                for peer in PEERS
                if peer in times
            },
        }
        for name, run in runs.items()
    }
    return {"size": size, "figures": figures, "skipped": skipped}


def stack(depth: int, width: int) -> nn.Module:
    """The network, for one timestep."""
    layers: list[nn.Module] = []
    for index in range(depth):
        layers += [
            nn.Conv2d(width if index else 3, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            build_neuron(NEURON, width),
        ]
    return nn.Sequential(
        *layers, nn.AvgPool2d(SIDE), nn.Flatten(), nn.Linear(width, CLASSES, bias=False)
    )


def measure_processes(count: int, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of an epoch of digits in so many processes, by the clock, start-up taken off."""
    with tempfile.TemporaryDirectory() as folder:
        _train(Path(folder) / "compiles", 1, count, options)
        seconds = [
            _train(Path(folder) / f"run{epochs}", epochs, count, options) for epochs in EPOCHS
        ]
    per_epoch = (seconds[1] - seconds[0]) / (EPOCHS[1] - EPOCHS[0])
    return {"figures": {"mpo-train": {"seconds_per_epoch": per_epoch}}, "seconds": seconds}


def _train(run: Path, epochs: int, processes: int, options: argparse.Namespace) -> float:
    subprocess.run(
        [
            *(sys.executable, "-m", "mpo_snn.cli.train", "digits", "--quiet", "--threads", "1"),
            *("--output", str(run), "--epochs", str(epochs), "--seed", str(options.seed)),
            *("--processes", str(processes), "--device", options.device),
        ],
        check=True,
    )
    seconds: float = json.loads((run / "environment.json").read_text())["seconds"]
    return seconds


def _show(figures: dict[str, Any]) -> None:
    for name, found in figures.items():
        if "seconds_per_epoch" in found:
            print(f"  {name:28} {found['seconds_per_epoch']:9.2f} s an epoch", flush=True)
            continue
        memory = found["peak_memory_bytes"] / 2**20
        print(f"  {name:28} {found['median_s'] * 1e3:9.2f} ms {memory:8.1f} MiB", flush=True)


if __name__ == "__main__":
    sys.exit(main())
