"""A whole training step of a spiking network: images/s against snnTorch and SpikingJelly.

    python -m benchmarks.gpu.throughput [--network resnet19] [--device cpu|cuda] [--again]
    python -m benchmarks.gpu.throughput --compile     # and ours by torch.compile: compiled-*.json

The same network, weights and batch for all; batchnorm over time and batch together for ours
and SpikingJelly, for each timestep by itself in the loop, as these are commonly written. Timed
only after the checks of `check` have passed.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.compiled import NAME as COMPILED
from benchmarks.compiled import CannotCompile, compiled_builder
from benchmarks.measure import (
    Results,
    add_common_options,
    on_own_stream,
    peak_memory,
    recorded,
    take_turns,
)
from benchmarks.networks import NEURON, Network, builders, ours
from benchmarks.training_step import recorded_step, training_step
from mpo_snn import spiking_convolution
from mpo_snn.encoding import encode
from mpo_snn.errors import RunError
from mpo_snn.kernels import BACKENDS
from mpo_snn.networks import build_network, network_names
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.training.precision import has_bfloat16
from mpo_snn.unroll import BatchNormMode

CLASSES, IMAGE = 10, (3, 32, 32)
CHECK_BATCH = 4
TOLERANCE = 1e-7
"""Of logits and gradients in float64, absolute and relative."""
Builder = Callable[[nn.Module], Network]
PEERS = ("snntorch loop", "spikingjelly multi-step")


def main(argv: list[str] | None = None) -> int:
    """Measure what has no result yet; 1 if ours failed its equality check."""
    parser = argparse.ArgumentParser(prog="benchmarks.gpu.throughput", description=__doc__)
    add_common_options(parser)
    on_gpu = torch.cuda.is_available()
    has_bf16 = has_bfloat16("cuda" if on_gpu else "cpu")
    parser.add_argument("--timesteps", type=int, default=4)
    parser.add_argument("--repetitions", type=int, default=21)
    parser.add_argument("--network", choices=network_names(), default="convnet")
    parser.add_argument(
        "--channels",
        type=int,
        nargs="+",
        default=[64, 128, 256, 256] if on_gpu else [32, 64, 64],
        help="of convnet",
    )
    parser.add_argument("--channel-scale", type=float, default=1.0, help="of the other networks")
    parser.add_argument(
        "--backend", choices=BACKENDS, help="kernel of ours; the device's if not given"
    )
    parser.add_argument("--batch", type=int, nargs="+", default=[64, 256] if on_gpu else [16])
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=("fp32", "tf32", "bf16"),
        default=["fp32", *(["tf32"] if on_gpu else []), *(["bf16"] if has_bf16 else [])],
        help="bf16 is autocast, measured where the hardware has it; tf32 exists on GPUs only",
    )
    parser.add_argument(
        "--layout",
        nargs="+",
        choices=("nchw", "nhwc", "own"),
        default=["nchw", "nhwc"],
        help="of images and kernels; own is nhwc for ours, as mpo-train has it, nchw for others",
    )
    parser.add_argument("--compile", action="store_true", help="ours compiled beside the others")
    options = parser.parse_args(argv)
    spiking_convolution.WORTH = 0  # as after the first few batches
    torch.set_num_threads(options.threads)
    on_own_stream(options.device)
    results = Results("compiled" if options.compile else "throughput", options)
    failed = False
    for batch, precision, layout in itertools.product(
        options.batch, options.precision, options.layout
    ):
        case = {
            "network": options.network,
            "channels": options.channels if options.network == "convnet" else None,
            **({} if options.backend is None else {"backend": options.backend}),
            **({} if options.channel_scale == 1.0 else {"channel_scale": options.channel_scale}),
            "timesteps": options.timesteps,
            "batch": batch,
            "precision": precision,
            "layout": layout,
        }
        if results.is_wanted(case):
            row = measure_case(case, options)
            results.add(case, row)
            variants = row["variants"].items()
            failed |= any(n.startswith("mpo-snn") and not v["passed"] for n, v in variants)
            _show(row)
    return int(failed)


def measure_case(case: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """One row: equality first, then the training steps of those that are equal."""
    device, batch, steps = options.device, case["batch"], case["timesteps"]
    rows: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    runs: dict[str, Callable[[], None]] = {}
    torch.manual_seed(options.seed)
    image = torch.rand(batch, *IMAGE).to(device)
    label = torch.randint(CLASSES, (batch,)).to(device)
    network = initial_network(case, options.seed)
    variants = builders(steps, case.get("backend"))
    if options.compile:
        variants[COMPILED] = compiled_builder(steps, case.get("backend"), device)
    for name, build in variants.items():
        try:
            _allow_tf32(False)
            rows[name] = _checked(build, network, steps, device)
            if not rows[name]["passed"]:
                continue
            _allow_tf32(case["precision"] == "tf32")
            layout = _layout(case["layout"], name)
            shown = image.to(memory_format=layout)

            def fresh(build: Builder = build, layout: Any = layout) -> Network:
                variant = build(initial_network(case, options.seed))
                variant.module.to(device, memory_format=layout)
                return variant

            runs[name] = training_step(fresh(), shown, label, case["precision"])
            if device == "cuda":
                runs |= _recorded(name, fresh(), shown, label, case["precision"], skipped)
        except (ImportError, CannotCompile) as error:
            skipped[name] = str(error)
        except Exception as error:  # one that fails, in whatever way, must not stop the others
            rows[name] = {"passed": False, "error": repr(error)}
    times = take_turns(runs, device, options.repetitions)
    for name, run in runs.items():
        median = times[name]["median_s"]
        found = {
            **times[name],
            "images_per_s": batch / median,
            "speed_up_over": {p: times[p]["median_s"] / median for p in PEERS if p in times},
        }
        if name in rows:
            found["peak_memory_bytes"] = peak_memory(run, device)
        rows[name] = rows.get(name, {"passed": True}) | found
    return {
        "spike_density": _density(network, image.cpu(), steps),
        "variants": rows,
        "skipped": skipped,
    }


def _allow_tf32(allowed: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed


def _recorded(
    name: str,
    variant: Network,
    image: Tensor,
    label: Tensor,
    precision: str,
    skipped: dict[str, str],
) -> dict[str, Callable[[], None]]:
    """A step with forward and backward pass as one CUDA graph, if it can be recorded."""
    try:
        return {recorded(name): recorded_step(variant, image, label, precision)}
    except RunError as error:
        skipped[recorded(name)] = str(error)
        return {}


def _layout(layout: str, variant: str) -> torch.memory_format:
    is_last = layout == "nhwc" or (layout == "own" and variant.startswith("mpo-snn"))
    return torch.channels_last if is_last else torch.contiguous_format


def _checked(
    build: Callable[[nn.Module, BatchNormMode], Network],
    network: nn.Module,
    steps: int,
    device: str,
) -> dict[str, Any]:
    """`check` on the device, or on the CPU where a library's GPU kernel knows no float64."""
    try:
        return {"checked_on": device, **check(build, network, steps, device)}
    except Exception as error:
        if device == "cpu" or isinstance(error, ImportError | CannotCompile):
            raise
        return {"checked_on": f"cpu ({error!r})", **check(build, network, steps, "cpu")}


def check(
    build: Callable[[nn.Module, BatchNormMode], Network],
    network: nn.Module,
    steps: int,
    device: str,
) -> dict[str, Any]:
    """Logits in evaluation, and in training with the gradient of the first kernel, in float64.

    Against our reference kernel, unrolled with the variant's own way of batchnorm. The kernels that
    run in float32 are held against the reference by `benchmarks.gpu.kernel`.
    """
    variant = build(network, "per_step")
    mode: BatchNormMode = "per_step" if variant.normalises_each_step else "folded"
    reference = ours(network, steps, mode, backend="reference")
    image = torch.rand(CHECK_BATCH, *IMAGE, generator=torch.Generator().manual_seed(1))
    found, expected = (_answers(n, image.to(device)) for n in (variant, reference))
    names = ("eval_logits", "train_logits", "gradient")
    differences = {
        name: float((a - b).abs().max()) for name, a, b in zip(names, found, expected, strict=True)
    }
    close = [
        torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE)
        for a, b in zip(found, expected, strict=True)
    ]
    return {"passed": all(close), "differences": differences}


def _answers(network: Network, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    module, image = network.module.to(image.device).double(), image.double()
    module.train()
    logits = network.logits(image)
    first = next(p for p in module.parameters() if p.dim() == 4)
    (gradient,) = torch.autograd.grad(logits.square().mean(), first)
    module.eval()
    with torch.no_grad():
        return network.logits(image), logits.detach(), gradient


def initial_network(case: dict[str, Any], seed: int) -> nn.Module:
    """The network of a case, as it starts."""
    torch.manual_seed(seed)
    settings = NetworkSettings(
        name=case["network"], init="torch", channel_scale=case.get("channel_scale", 1.0)
    )
    if case["channels"]:
        settings = replace(settings, channels=tuple(case["channels"]))
    return build_network(settings, NEURON, IMAGE, CLASSES)


@torch.no_grad()
def _density(network: nn.Module, image: Tensor, steps: int) -> float:
    """Spikes per neuron, step and sample at the start of training, over all layers."""
    fired, neurons = 0.0, 0

    def count(name: str, spk: Tensor, v: Tensor) -> None:
        nonlocal fired, neurons
        fired, neurons = fired + float(spk.sum()), neurons + spk.numel()

    ours(network, steps).module(encode(image[:CHECK_BATCH], steps), count)
    return fired / neurons


def _show(row: dict[str, Any]) -> None:
    for name, found in row["variants"].items():
        if not found["passed"]:
            print(f"  {name:28} NOT EQUAL: {found}")
            continue
        ratios = " ".join(f"{value:5.2f}x" for value in found["speed_up_over"].values())
        memory = found.get("peak_memory_bytes")
        held = "" if memory is None else f" {memory / 2**20:8.0f} MiB"
        print(f"  {name:33} {found['images_per_s']:9.1f} images/s {ratios}{held}")
    for name, reason in row["skipped"].items():
        print(f"  {name:28} skipped: {reason}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
