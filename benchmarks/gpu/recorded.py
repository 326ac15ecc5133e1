"""`mpo-train` with its steps recorded as CUDA graphs, against steps launched kernel by kernel.

    python -m benchmarks.gpu.recorded [--network vgg16] [--batch 128] [--precision bfloat16]

Two trainings of random images in batches of two shapes, through `mpo_snn.training.fit` itself.
First both with deterministic kernels: weights must be equal to the bit. Then each with the fastest
kernels, in turns: images/s of the training steps of the last epoch, recording included, testing
left out. On a CPU nothing is recorded, so there the script alone is tried.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from benchmarks.measure import Results, add_common_options
from mpo_snn.data.settings import DataSettings
from mpo_snn.networks import network_names
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.operators import declare_torchvision_operators
from mpo_snn.training.fit import start
from mpo_snn.training.recipe import OptimizerSettings, Precision, Recipe
from mpo_snn.training.rundir import WEIGHTS, create_run, read_environment
from mpo_snn.training.weights import read_weights

declare_torchvision_operators()

from lightning.pytorch import Callback, LightningModule, Trainer  # noqa: E402

CHECKED_STEPS = 20
"""In each of two epochs: warm-up, batchnorm's first nine steps, and recorded ones in both."""
EPOCHS = 3


def main(argv: list[str] | None = None) -> int:
    """Measure what has no result yet; 1 if recorded steps learn something else."""
    parser = argparse.ArgumentParser(prog="benchmarks.gpu.recorded", description=__doc__)
    add_common_options(parser)
    parser.add_argument("--network", nargs="+", choices=network_names(), default=["vgg16"])
    parser.add_argument("--channel-scale", type=float, default=1.0)
    parser.add_argument("--batch", type=int, nargs="+", default=[128])
    parser.add_argument("--precision", choices=get_args(Precision), default="bfloat16")
    parser.add_argument("--steps", type=int, default=80, help="in an epoch")
    parser.add_argument(
        "--workers", type=int, default=0, help="that augment on the CPU; 0: on the device"
    )
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    results = Results("recorded", options)
    failed = False
    for network, batch in itertools.product(options.network, options.batch):
        case = {
            "network": network,
            "channel_scale": options.channel_scale,
            "batch": batch,
            "precision": options.precision,
            "steps": options.steps,
            "workers": options.workers,
        }
        if results.is_wanted(case):
            row = measure_case(case, options)
            results.add(case, row)
            print(row, flush=True)
            failed |= not row["equal"]
    return int(failed)


def measure_case(case: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Equality, then images/s of both ways."""
    with tempfile.TemporaryDirectory() as folder:
        images = {steps: steps * case["batch"] - 3 for steps in (CHECKED_STEPS, options.steps)}
        few, many = (
            _recipe(case, _images(Path(folder) / f"{steps}.npz", images[steps]), options)
            for steps in (CHECKED_STEPS, options.steps)
        )
        found = {name: _weights(few, name, options, folder) for name in ("never", "auto")}
        different = [
            key
            for key, value in found["never"].items()
            if not torch.equal(value, found["auto"][key])
        ]
        torch.backends.cudnn.benchmark = True
        seconds: dict[str, list[float]] = {"never": [], "auto": []}
        for _ in range(options.repetitions):
            for name, values in seconds.items():
                values.append(_seconds(many, name, options, folder))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "recorded": options.device == "cuda",
        "equal": not different,
        "differing": different,
        "images_per_s": {
            name: [images[options.steps] / s for s in values] for name, values in seconds.items()
        },
        "speed_up": medians["never"] / medians["auto"],
    }


def _images(path: Path, count: int) -> Path:
    draw = np.random.default_rng(0)
    x = draw.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    y = draw.permutation(np.arange(count) % 10)
    np.savez(path, x_train=x, y_train=y, x_test=x[:100], y_test=y[:100])
    return path


def _recipe(case: dict[str, Any], images: Path, options: argparse.Namespace) -> Recipe:
    return Recipe(
        name="recorded",
        seed=options.seed,
        epochs=EPOCHS,
        timesteps=4,
        threads=options.threads,
        precision=case["precision"],
        data=DataSettings(
            "cifar10",
            str(images),
            normalize=True,
            crop=4,
            flip=True,
            autoaugment="cifar10" if case["workers"] else "none",
            workers=case["workers"],
        ),
        network=NetworkSettings(case["network"], channel_scale=case["channel_scale"]),
        optimizer=OptimizerSettings("sgd", lr=0.05, batch_size=case["batch"]),
    )


class Clock(Callback):
    """Seconds of the training steps of the last epoch."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew."""
        self._begin = self._now()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The steps of an epoch are over."""
        self.seconds = self._now() - self._begin

    def _now(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()


def _weights(
    recipe: Recipe, graphs: str, options: argparse.Namespace, folder: str
) -> dict[str, torch.Tensor]:
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
    recipe = replace(recipe, epochs=2, cuda_graphs=graphs)
    run = start(create_run(recipe, Path(folder) / f"{graphs}-weights"), device=options.device)
    torch.backends.cudnn.deterministic = False
    recorded = read_environment(run.path)["cuda_graphs"]
    assert recorded == (graphs == "auto" and options.device == "cuda"), "not the way that was asked"
    return read_weights(run.path / WEIGHTS)[0]


def _seconds(recipe: Recipe, graphs: str, options: argparse.Namespace, folder: str) -> float:
    """Of the training steps of the last epoch."""
    clock = Clock()
    with tempfile.TemporaryDirectory(dir=folder) as path:
        run = create_run(replace(recipe, cuda_graphs=graphs), Path(path) / "run")
        start(run, device=options.device, callbacks=[clock])
    return clock.seconds


if __name__ == "__main__":
    sys.exit(main())
