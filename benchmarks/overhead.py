"""What MPO adds to a training step, measured in pairs.

    python -m benchmarks.overhead [--network vgg11 resnet18 convnet] [--precision fp32 bf16]

A step with MPO and one without follow each other, in turns of order, many times; told is the median
of their differences over the median without, and within which bounds it lies in 9 of 10 resamplings
of the pairs. Whole medians move by more than MPO is on a shared machine. Networks as
`benchmarks.gpu.throughput --layout own` has them: VGG-11 and ResNet-18 at half their channels on a
CPU, images and kernels channels last; on a GPU, steps recorded as CUDA graphs, as `mpo-train` has
them.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.throughput import CLASSES, IMAGE, initial_network
from benchmarks.measure import WARM_UP, Results, add_common_options, on_own_stream, seconds
from benchmarks.networks import ours
from benchmarks.training_step import recorded_step, training_step
from mpo_snn import spiking_convolution
from mpo_snn.networks import network_names
from mpo_snn.training.precision import has_bfloat16

CONVNET = [32, 64, 64]
RESAMPLINGS = 1000
BOUNDS = (0.05, 0.95)


def main(argv: list[str] | None = None) -> int:
    """Measure what has no result yet."""
    parser = argparse.ArgumentParser(prog="benchmarks.overhead", description=__doc__)
    add_common_options(parser)
    on_gpu = torch.cuda.is_available()
    parser.add_argument(
        "--network",
        nargs="+",
        choices=network_names(),
        default=["vgg16", "resnet19"] if on_gpu else ["vgg11", "resnet18", "convnet"],
    )
    scale = 1.0 if on_gpu else 0.5
    parser.add_argument("--channel-scale", type=float, default=scale, help="but of convnet")
    parser.add_argument("--batch", type=int, default=256 if on_gpu else 16)
    parser.add_argument("--timesteps", type=int, default=4)
    has_bf16 = has_bfloat16("cuda" if on_gpu else "cpu")
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=("fp32", "bf16"),
        default=["fp32", *(["bf16"] if has_bf16 else [])],
    )
    parser.add_argument("--pairs", type=int, default=121)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    spiking_convolution.WORTH = 0  # as after the first few batches
    on_own_stream(options.device)
    results = Results("overhead", options)
    for network, precision in itertools.product(options.network, options.precision):
        is_convnet = network == "convnet"
        case = {
            "network": network,
            "channels": CONVNET if is_convnet else None,
            "channel_scale": 1.0 if is_convnet else options.channel_scale,
            "timesteps": options.timesteps,
            "batch": options.batch,
            "precision": precision,
        }
        if results.is_wanted(case):
            row = measure_case(case, options)
            results.add(case, row)
            low, high = row["bounds_percent"]
            print(f"  {row['percent']:.2f} % ({low:.2f} to {high:.2f})", flush=True)
    return 0


def measure_case(case: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """The differences of one network."""
    steps = [_step(case, options, with_mpo) for with_mpo in (False, True)]
    times: list[list[float]] = [[], []]
    for pair in range(2 * WARM_UP + options.pairs):
        for which in (0, 1) if pair % 2 else (1, 0):
            times[which].append(seconds(steps[which], options.device))
    without, with_mpo = np.array(times)[:, 2 * WARM_UP :]
    base, found = float(np.median(without)), with_mpo - without
    draw = np.random.default_rng(options.seed)
    drawn = np.median(draw.choice(found, (RESAMPLINGS, len(found))), axis=1)
    return {
        "without_s": base,
        "added_s": float(np.median(found)),
        "percent": 100.0 * float(np.median(found)) / base,
        "bounds_percent": [100.0 * float(bound) / base for bound in np.quantile(drawn, BOUNDS)],
        "pairs": len(found),
    }


def _step(case: dict[str, Any], options: argparse.Namespace, with_mpo: bool) -> Callable[[], None]:
    torch.manual_seed(options.seed)
    network = ours(initial_network(case, options.seed), case["timesteps"], with_mpo=with_mpo)
    network.module.to(options.device, memory_format=torch.channels_last)
    image = torch.rand(case["batch"], *IMAGE, device=options.device)
    image = image.to(memory_format=torch.channels_last)
    label = torch.randint(CLASSES, (case["batch"],), device=options.device)
    make = recorded_step if options.device == "cuda" else training_step
    return make(network, image, label, case["precision"])


if __name__ == "__main__":
    sys.exit(main())
