"""One LIF layer: speed, traffic and memory of every kernel against snnTorch and SpikingJelly.

    python -m benchmarks.gpu.kernel [--device cpu|cuda] [--again] [--results FOLDER]

A variant is timed only after its spikes and its gradient have equalled the reference.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.lif import ResetKind, Variant, builders
from benchmarks.measure import (
    Results,
    add_common_options,
    copy_bandwidth,
    on_own_stream,
    peak_memory,
    recorded,
    take_turns,
    traffic,
)
from mpo_snn.errors import MpoError
from mpo_snn.training.step_graph import record_on_gpu, refusal

SHAPES = ((4, 16, 512, 4, 4), (4, 16, 128, 16, 16), (8, 16, 64, 32, 32))
"""(time, batch, channels, height, width); on a GPU these as well:"""
LARGE_SHAPES = ((4, 256, 512, 4, 4), (4, 256, 64, 32, 32), (10, 128, 128, 32, 32))
RESETS: tuple[ResetKind, ...] = ("subtract", "zero")
PEERS = ("snntorch loop", "spikingjelly multi-step")
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
"""Of gradients, absolute and relative; in bfloat16 they are rounded to 8 bits on the way out."""
FLOOR_VALUES = 5
"""Values moved forward and backward per neuron and step: read x, write s; read x and ds, write
dx."""


def main(argv: list[str] | None = None) -> int:
    """Measure what has no result yet; 1 if a variant of ours failed its equality check."""
    parser = argparse.ArgumentParser(prog="benchmarks.gpu.kernel", description=__doc__)
    add_common_options(parser)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument(
        "--shape", type=int, nargs=5, help="time, batch, channels, height, width; in place of all"
    )
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    results = Results("kernel", options)
    failed = False
    on_gpu = options.device == "cuda"
    on_own_stream(options.device)
    shapes = SHAPES if options.shape is None else (tuple(options.shape),)
    cases = list(itertools.product(shapes, RESETS, ("float32",)))
    if on_gpu and options.shape is None:
        cases += itertools.product(LARGE_SHAPES, RESETS, ("float32", "bfloat16"))
    for shape, reset, dtype in cases:
        case = {"shape": shape, "reset": reset, "dtype": dtype}
        if results.is_wanted(case):
            row = measure_case(shape, reset, getattr(torch, dtype), options)
            results.add(case, row)
            failed |= _is_broken(row)
            _show(row)
    return int(failed)


def measure_case(
    shape: tuple[int, ...], reset: ResetKind, dtype: torch.dtype, options: argparse.Namespace
) -> dict[str, Any]:
    """One row: equality first, then times, traffic and memory of those that are equal."""
    device = options.device
    generator = torch.Generator().manual_seed(options.seed)
    x = torch.randn(shape, generator=generator).to(device, dtype).requires_grad_()
    grad = torch.randn(shape, generator=generator).to(device, dtype)
    variants: dict[str, Variant] = {}
    rows: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    for name, build in builders(reset, device).items():
        try:
            variant = build()
            rows[name] = {"equality": check(variant, x, grad)}
            if rows[name]["equality"]["passed"]:
                rows[name] |= _load_independent(variant, x, grad, device)
                variants[name] = variant
        except (ImportError, MpoError) as error:
            skipped[name] = str(error)
        except Exception as error:  # one that fails, in whatever way, must not stop the others
            rows[name] = {"equality": {"passed": False, "error": repr(error)}}
    without = {n: _forward(v, x) for n, v in variants.items() if not v.statistics}
    forward = take_turns(without, device, options.repetitions)
    both = take_turns(
        {n: _both(v, x, grad) for n, v in variants.items()}, device, options.repetitions
    )
    replays = {} if device == "cpu" else _recorded(variants, x, grad, skipped)
    replayed = take_turns(replays, device, options.repetitions)
    bandwidth = copy_bandwidth(device)
    for name in variants:
        rows[name] |= {
            "forward": _with_ratios(name, forward),
            "forward_backward": _with_ratios(name, both),
            "replayed": _with_ratios(name, replayed),
        }
        best = replayed.get(name, both[name])
        copied = bandwidth * best["median_s"] / x.numel()
        rows[name]["share_of_copy_bandwidth"] = {
            "of_the_bytes_it_moves": rows[name]["bytes_per_neuron_step"] / copied,
            "of_the_floor": FLOOR_VALUES * x.element_size() / copied,
        }
    with torch.no_grad():
        density = float(variants["mpo-snn reference"].spikes(x).float().mean())
    return {
        "spike_density": density,
        "copy_bytes_per_s": bandwidth,
        "variants": rows,
        "skipped": skipped,
    }


def _recorded(
    variants: dict[str, Variant], x: Tensor, grad: Tensor, skipped: dict[str, str]
) -> dict[str, Callable[[], None]]:
    """Forward and backward as one CUDA graph each, of those that can be recorded."""
    replays = {}
    for name, variant in variants.items():
        run = _both(variant, x, grad)
        run()
        try:
            replays[name] = record_on_gpu(run)
        except RuntimeError as error:
            skipped[recorded(name)] = str(refusal(error))
    return replays


def _load_independent(variant: Variant, x: Tensor, grad: Tensor, device: str) -> dict[str, Any]:
    """Of forward and backward: what does not change with the load of the machine."""
    moved, operators = traffic(_both(variant, x, grad))
    moved += variant.kernel_tensors * x.numel() * x.element_size()
    x.grad = None
    peak = peak_memory(lambda: variant.train(x, grad), device)
    x.grad = None
    return {
        "bytes_per_neuron_step": moved / x.numel(),
        "operators": operators,
        "peak_memory_per_input": peak / (x.numel() * x.element_size()),
    }


def check(variant: Variant, x: Tensor, grad: Tensor) -> dict[str, Any]:
    """Spikes identical, gradient to `TOLERANCE`, against its reference."""
    reference = variant.reference()
    with torch.no_grad():
        different = int((variant.spikes(x) != reference.spikes(x)).sum())
    expected, found = _gradient(reference, x, grad), _gradient(variant, x, grad)
    tolerance = TOLERANCE[x.dtype]
    close = torch.allclose(found, expected, rtol=tolerance, atol=tolerance)
    return {
        "passed": different == 0 and close,
        "different_spikes": different,
        "gradient_difference": float((found - expected).abs().max()),
    }


def _gradient(variant: Variant, x: Tensor, grad: Tensor) -> Tensor:
    x.grad = None
    variant.train(x, grad)
    assert x.grad is not None, "the variant left no gradient"
    gradient, x.grad = x.grad, None
    return gradient


def _forward(variant: Variant, x: Tensor) -> Callable[[], object]:
    return torch.no_grad()(lambda: variant.spikes(x))


def _both(variant: Variant, x: Tensor, grad: Tensor) -> Callable[[], None]:
    def run() -> None:
        x.grad = None
        variant.train(x, grad)

    return run


def _with_ratios(name: str, times: dict[str, dict[str, float]]) -> dict[str, Any] | None:
    if name not in times:
        return None
    speed_up = {
        peer: times[peer]["median_s"] / times[name]["median_s"] for peer in PEERS if peer in times
    }
    return {**times[name], "speed_up_over": speed_up}


def _is_broken(row: dict[str, Any]) -> bool:
    variants = row["variants"].items()
    return any(n.startswith("mpo-snn") and not v["equality"]["passed"] for n, v in variants)


def _show(row: dict[str, Any]) -> None:
    for name, found in row["variants"].items():
        if not found["equality"]["passed"]:
            print(f"  {name:32} NOT EQUAL: {found['equality']}")
            continue
        ratios = " ".join(
            f"{value:5.2f}x" for value in found["forward_backward"]["speed_up_over"].values()
        )
        print(
            f"  {name:32} {found['forward_backward']['median_s'] * 1e3:9.3f} ms {ratios}"
            f"  {found['bytes_per_neuron_step']:6.1f} B {found['peak_memory_per_input']:5.2f} x"
        )
    for name, reason in row["skipped"].items():
        print(f"  {name:32} skipped: {reason}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
