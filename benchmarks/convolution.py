"""A 3x3 convolution of spikes in training: dense (oneDNN) and on events, forward and backward.

    python -m benchmarks.convolution [--again]

Timed only after the output has every bit of the dense one, and the gradient of the weights is as
near to that in float64 as the dense one is, or within 1e-6 of its largest value.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.measure import Results, add_common_options, take_turns
from mpo_snn.graph.geometry import Window
from mpo_snn.kernels.event_conv import EventConv, is_available
from mpo_snn.kernels.event_gradient import weight_gradient

SHAPES = ((32, 32), (64, 16), (128, 8), (256, 4))
"""Channels, in and out, and the side of an image."""
DENSITIES = (0.05, 0.1, 0.2, 0.3, 0.4)
SAMPLES = 64
WINDOW = Window((3, 3), (1, 1), (1, 1), (1, 1))
TOLERANCE = 1e-6


def main(argv: list[str] | None = None) -> int:
    """Measure what has no result yet; 1 if events failed their check."""
    parser = argparse.ArgumentParser(prog="benchmarks.convolution", description=__doc__)
    add_common_options(parser)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument(
        "--shape", type=int, nargs=2, help="channels and side of an image, in place of all"
    )
    parser.add_argument("--density", type=float, nargs="+", default=list(DENSITIES))
    parser.add_argument("--samples", type=int, default=SAMPLES)
    options = parser.parse_args(argv)
    if not is_available():
        print("skipped: events need numba, pip install 'mpo-snn[fast]', and AVX2 or AVX-512")
        return 0
    torch.set_num_threads(options.threads)
    results = Results("convolution", options)
    failed = False
    shapes = SHAPES if options.shape is None else (tuple(options.shape),)
    for (channels, side), density in itertools.product(shapes, options.density):
        case = {
            "channels": channels,
            "side": side,
            "samples": options.samples,
            "density": density,
        }
        if results.is_wanted(case):
            row = measure_case(case, options)
            results.add(case, row)
            failed |= not row["passed"]
            print("  " + "  ".join(f"{name} {value:.2f}" for name, value in row["ratio"].items()))
    return int(failed)


def measure_case(case: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """One row: equality first, then times, and those of events over the dense ones."""
    draw = torch.Generator().manual_seed(options.seed)
    shape = (case["samples"], case["channels"], case["side"], case["side"])
    x = _last((torch.rand(shape, generator=draw) < case["density"]).float())
    grad = _last(torch.randn(shape, generator=draw))
    weight = _last(0.1 * torch.randn(case["channels"], case["channels"], 3, 3, generator=draw))
    bias = torch.zeros(case["channels"])

    def backward(x: Tensor, grad: Tensor, weight: Tensor, by_weight: bool) -> Tensor:
        moves = ((1, 1), (1, 1), (1, 1), False, (0, 0), 1)
        needs = (not by_weight, by_weight, False)
        found = torch.ops.aten.convolution_backward(grad, x, weight, None, *moves, needs)
        return found[int(by_weight)]  # type: ignore[no-any-return]

    exact = backward(x.double(), grad.double(), weight.double(), True)
    scale = float(exact.abs().max())
    errors = {
        "dense": float((backward(x, grad, weight, True) - exact).abs().max()) / scale,
        "events": float((weight_gradient(x, grad, WINDOW) - exact).abs().max()) / scale,
    }
    same = torch.equal(
        functional.conv2d(x, weight, padding=1), EventConv(weight, bias, WINDOW)(x)[0]
    )
    times = take_turns(
        {
            "forward dense": lambda: functional.conv2d(x, weight, padding=1),
            "forward events": lambda: EventConv(weight, bias, WINDOW)(x),
            "weights dense": lambda: backward(x, grad, weight, True),
            "weights events": lambda: weight_gradient(x, grad, WINDOW),
            "input dense": lambda: backward(x, grad, weight, False),
        },
        options.device,
        options.repetitions,
    )
    return {
        "passed": same and errors["events"] <= max(TOLERANCE, errors["dense"]),
        "every_bit_forward": same,
        "error_of_weights": errors,
        "times": times,
        "ratio": {
            part: times[f"{part} events"]["median_s"] / times[f"{part} dense"]["median_s"]
            for part in ("forward", "weights")
        },
    }


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


if __name__ == "__main__":
    sys.exit(main())
