"""What a training step with MPO spends its time on, as torch's profiler counts it.

    python -m benchmarks.shares [--network vgg11 resnet18] [--precision fp32 bf16]

Half the channels on a CPU, channels last, as `mpo-train` has it; on a CPU once with convolutions on
events and once dense. Time of the CPU's operators, or on a GPU that of the kernels they launched.
What the profiler itself costs is in the time of small operators: a share is an upper bound of what
could be won by computing a part in no time, not a measurement to the percent.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.throughput import CLASSES, IMAGE, initial_network
from benchmarks.measure import WARM_UP, Results, add_common_options
from benchmarks.networks import ours
from benchmarks.training_step import training_step
from mpo_snn import spiking_convolution
from mpo_snn.networks import network_names
from mpo_snn.training.precision import has_bfloat16

PARTS = {
    "convolution": ("convolution", "conv2d", "addmm", "::mm"),
    "neurons": ("_Scan", "lif"),
    "batchnorm": ("batch_norm", "batchnorm"),
    "pooling": ("pool",),
    "optimizer": ("Optimizer", "_foreach", "_fused"),
}


def main(argv: list[str] | None = None) -> int:
    """Measure what has no result yet."""
    parser = argparse.ArgumentParser(prog="benchmarks.shares", description=__doc__)
    add_common_options(parser)
    on_gpu = torch.cuda.is_available()
    parser.add_argument(
        "--network",
        nargs="+",
        choices=network_names(),
        default=["vgg16", "resnet19"] if on_gpu else ["vgg11", "resnet18"],
    )
    parser.add_argument("--channel-scale", type=float, default=1.0 if on_gpu else 0.5)
    parser.add_argument("--batch", type=int, default=128 if on_gpu else 16)
    parser.add_argument("--timesteps", type=int, default=4)
    has_bf16 = has_bfloat16("cuda" if on_gpu else "cpu")
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=("fp32", "bf16"),
        default=["fp32", *(["bf16"] if has_bf16 else [])],
    )
    parser.add_argument("--steps", type=int, default=5, help="profiled together")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    spiking_convolution.WORTH = 0  # as after the first few batches
    results = Results("shares", options)
    ways = (True, False) if options.device == "cpu" else (False,)
    for network, precision, events in itertools.product(options.network, options.precision, ways):
        case = {
            "network": network,
            "channels": None,
            "channel_scale": options.channel_scale,
            "timesteps": options.timesteps,
            "batch": options.batch,
            "precision": precision,
            "events": events,
        }
        if (events and precision != "fp32") or not results.is_wanted(case):
            continue
        row = measure_case(case, options)
        results.add(case, row)
        shares = "  ".join(f"{part} {share:.1%}" for part, share in row["shares"].items())
        print(f"  {row['milliseconds']:.1f} ms: {shares}", flush=True)
    return 0


def measure_case(case: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Shares of the parts in a step, and the operators that are most of it."""
    device = options.device
    torch.manual_seed(options.seed)
    network = ours(initial_network(case, options.seed), case["timesteps"], with_mpo=True)
    network.module.events = case["events"]
    network.module.to(device, memory_format=torch.channels_last)
    image = torch.rand(case["batch"], *IMAGE, device=device)
    image = image.to(memory_format=torch.channels_last)
    label = torch.randint(CLASSES, (case["batch"],), device=device)
    step = training_step(network, image, label, case["precision"])
    for _ in range(1 + WARM_UP):
        step()
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profile(activities=kinds) as found:
        for _ in range(options.steps):
            step()
    times: dict[str, float] = {}
    for row in found.key_averages():
        if row.device_type == torch.autograd.DeviceType.CPU:
            of_device = device == "cuda"
            times[row.key] = row.self_device_time_total if of_device else row.self_cpu_time_total
    total = sum(times.values())
    parts = dict.fromkeys([*PARTS, "other"], 0.0)
    for key, value in times.items():
        parts[part_of(key)] += value
    largest = sorted(times, key=lambda key: -times[key])[:12]
    return {
        "milliseconds": total / 1e3 / options.steps,
        "shares": {part: value / total for part, value in parts.items()},
        "operators": {key: times[key] / total for key in largest},
    }


def part_of(operator: str) -> str:
    """The part that an operator of torch belongs to, by its name."""
    for part, words in PARTS.items():
        if any(word.lower() in operator.lower() for word in words):
            return part
    return "other"


if __name__ == "__main__":
    sys.exit(main())
