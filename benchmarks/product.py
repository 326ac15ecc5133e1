"""A product of spikes with a matrix, as exported graphs have it: dense and on events.

    python -m benchmarks.product [--again]

Timed only if one of the orders in which events may add up has every bit of the dense product.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from typing import Any

import torch
from torch.nn import functional

from benchmarks.measure import Results, add_common_options, take_turns
from mpo_snn.kernels.event_conv import is_available
from mpo_snn.kernels.event_linear import EventLinear, depths

SHAPES = ((64, 2048, 1024), (64, 2048, 256), (256, 512, 512), (512, 784, 128), (64, 512, 64))
"""Lines (samples times timesteps), inputs, outputs."""
DENSITIES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4)


def main(argv: list[str] | None = None) -> int:
    """Measure what has no result yet; 1 if no order has the bits of the dense product."""
    parser = argparse.ArgumentParser(prog="benchmarks.product", description=__doc__)
    add_common_options(parser)
    parser.add_argument("--repetitions", type=int, default=25)
    parser.add_argument(
        "--shape", type=int, nargs=3, help="lines, inputs and outputs, in place of all"
    )
    parser.add_argument("--density", type=float, nargs="+", default=list(DENSITIES))
    options = parser.parse_args(argv)
    if not is_available():
        print("skipped: events need numba, pip install 'mpo-snn[fast]', and AVX2 or AVX-512")
        return 0
    torch.set_num_threads(options.threads)
    results = Results("product", options)
    failed = False
    shapes = SHAPES if options.shape is None else (tuple(options.shape),)
    for (lines, inputs, outputs), density in itertools.product(shapes, options.density):
        case = {"lines": lines, "inputs": inputs, "outputs": outputs, "density": density}
        if results.is_wanted(case):
            row = measure_case(case, options)
            results.add(case, row)
            failed |= not row["passed"]
            print(f"  events over dense {row.get('ratio', float('nan')):.2f}")
    return int(failed)


def measure_case(case: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """One row: the order first, then times."""
    draw = torch.Generator().manual_seed(options.seed)
    x = (torch.rand(case["lines"], case["inputs"], generator=draw) < case["density"]).float()
    weight = 0.1 * torch.randn(case["outputs"], case["inputs"], generator=draw)
    bias = torch.randn(case["outputs"], generator=draw)
    events, dense = EventLinear(weight, bias), functional.linear(x, weight, bias)
    same = [depth for depth in depths(case["inputs"]) if torch.equal(events(x, depth)[0], dense)]
    if not same:
        return {"passed": False}
    times = take_turns(
        {
            "dense": lambda: functional.linear(x, weight, bias),
            "events": lambda: events(x, same[0]),
        },
        options.device,
        options.repetitions,
    )
    return {
        "passed": True,
        "inputs_of_a_part": same[0],
        "times": times,
        "ratio": times["events"]["median_s"] / times["dense"]["median_s"],
    }


if __name__ == "__main__":
    sys.exit(main())
