"""Trains a spiking network on CIFAR-10 and tells accuracy and time, with and without MPO.

    python -m benchmarks.gpu.cifar10 --data FOLDER [--network resnet19] [--method mpo|fixed]

Images stay on the device and are augmented there. Every epoch leaves a checkpoint; the same
command goes on from it after `--minutes` are over. In the end there is a run directory, NAME below
`--work`, which `mpo-export` takes.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.images import PARTS, load_split
from benchmarks.gpu.training import Training
from benchmarks.measure import Results, add_common_options, on_own_stream
from mpo_snn.errors import DataError, MpoError
from mpo_snn.files import make_folder
from mpo_snn.kernels import BACKENDS
from mpo_snn.networks import network_names

OPTIMIZERS = ("sgd", "adam", "adamw")


def main(argv: list[str] | None = None) -> int:
    """Train until the epochs are done or the time is up; 1 if the loss is no longer finite."""
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        return _train(options)
    except MpoError as error:
        parser.error(str(error))


def _train(options: argparse.Namespace) -> int:
    torch.set_num_threads(options.threads)
    if options.graph is None:
        options.graph = options.device == "cuda"
    on_own_stream(options.device)
    results = Results("cifar10", options)
    sets = {
        split: load_split(options.data, split, options.device, options.limit) for split in PARTS
    }
    case = _case(options) | {"data": sets["train"].title}
    if not results.is_wanted(case):
        return 0
    folder = make_folder(options.work)
    if len(sets["train"].labels) < options.batch:
        raise DataError(f"{len(sets['train'].labels)} images fill no batch of {options.batch}.")
    training = Training(options, case, len(sets["train"].labels) // options.batch)
    training.resume(folder)
    while training.epoch < options.epochs:
        if time.monotonic() - results.started > 60.0 * options.minutes:
            print(f"{training.epoch} of {options.epochs} epochs; the same command goes on")
            return 0
        if not training.run_epoch(sets["train"]):
            print(f"the loss is not finite in epoch {training.epoch + 1}")
            return 1
        if training.epoch % options.test_every == 0 or training.epoch == options.epochs:
            training.test(sets["test"])
            training.save(folder)
        print(f"  epoch {training.epoch:3} {_line(training.history[-1])}", flush=True)
        if training.layers and training.epoch in (1, options.epochs):
            print(_table(training.layers), flush=True)
    results.add(case, training.summary(sets["test"]))
    training.write_run(folder / options.name)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.gpu.cifar10", description=__doc__)
    add_common_options(parser)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of CIFAR-10, as for mpo-train")
    add("--work", type=Path, default=Path("runs/cifar10"), help="for checkpoint and run")
    add("--name", default="cifar10", help="name of checkpoint and run, one for each case")
    add("--method", choices=("mpo", "fixed"), default="mpo")
    add("--network", choices=network_names(), default="convnet")
    add("--channels", type=int, nargs="+", default=[64, 128, 256, 256], help="of convnet")
    add("--timesteps", type=int, default=4)
    add("--early-timesteps", type=int, help="T of the first epochs (time inheritance)")
    add("--early-epochs", type=int, default=0, help="how many they are")
    add("--epochs", type=int, default=30)
    add("--batch", type=int, default=128)
    add("--optimizer", choices=OPTIMIZERS, default="sgd")
    add("--lr", type=float, default=0.1)
    add("--weight-decay", type=float, default=5e-4)
    add("--warmup", type=float, default=1.0, help="epochs")
    add("--smoothing", type=float, default=0.0, help="of labels")
    add("--cutout", type=int, default=0, help="side of the blanked square, pixels")
    add("--autoaugment", action="store_true", help="with CIFAR-10's policy")
    add("--refine", type=int, default=0, help="last epochs, without cutout and AutoAugment")
    add("--start", type=Path, help="run directory whose weights to start from (a warm restart)")
    add("--dropout", type=float, default=0.0)
    add("--width", type=float, default=0.5, help="of the surrogate at the start, volt")
    widths = parser.add_mutually_exclusive_group()
    widths.add_argument(
        "--width-scale",
        type=float,
        help="the paper's whole method, the width following this times sigma; default: MPO's own",
    )
    widths.add_argument(
        "--scale",
        type=float,
        nargs=2,
        metavar=("START", "END"),
        help="c of MPO's own method at the start and at the end, such as 0.5 0.4 in deep networks",
    )
    add("--precision", choices=("fp32", "tf32", "bf16"), default="fp32")
    add("--backend", choices=BACKENDS, help="of the neurons (default: the fastest)")
    add("--limit", type=int, help="take only the first images of each split")
    add("--test-every", type=int, default=1, help="epochs between tests; the last is always tested")
    add(
        "--graph",
        action=argparse.BooleanOptionalAction,
        help="forward and backward pass as one CUDA graph (default: on a GPU)",
    )
    return parser


_NOT_OF_THE_CASE = (
    *("device", "threads", "results", "again", "minutes", "data", "work", "name"),
    *("test_every", "graph"),
)


def _case(options: argparse.Namespace) -> dict[str, Any]:
    case = {key: value for key, value in vars(options).items() if key not in _NOT_OF_THE_CASE}
    return case | {"start": None if options.start is None else options.start.name}


def _table(layers: dict[str, dict[str, float]]) -> str:
    return "\n".join(f"    {name:20} {_line(values)}" for name, values in layers.items())


def _line(epoch: dict[str, float]) -> str:
    return " ".join(f"{key} {value:.4g}" for key, value in epoch.items())


if __name__ == "__main__":
    sys.exit(main())
