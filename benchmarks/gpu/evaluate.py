"""Evaluation of an exported network on a GPU: images per second, and counts beside the CPU's.

    python -m benchmarks.gpu.evaluate [--network vgg16] [--samples 512] [--batch 256]
    python -m benchmarks.gpu.evaluate --device cpu --network convnet --samples 32 --batch 16

The network has random weights and the batchnorm statistics of its own images; it is exported to NIR
and evaluated by `mpo_snn.evaluation` on random images and labels. In float64 both devices must give
the same spikes of every neuron (but where a membrane is within 1e-12 of the threshold, which is
told as a difference); in float32, as `mpo-evaluate` runs it, sums in another order may tip some.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measure import Results, add_common_options
from benchmarks.networks import NEURON
from mpo_snn.encoding import encode
from mpo_snn.evaluation.activity import Activity, batches, measure_activity
from mpo_snn.export.nir_export import DEFAULT_DT, export_nir
from mpo_snn.graph.simulate import Simulator
from mpo_snn.networks import build_network, network_names
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.unroll import Unrolled

CLASSES, IMAGE = 10, (3, 32, 32)
FOR_STATISTICS = 32


def main(argv: list[str] | None = None) -> int:
    """Measure what has no result yet; 1 if counts in float64 are not those of the CPU."""
    parser = argparse.ArgumentParser(prog="benchmarks.gpu.evaluate", description=__doc__)
    add_common_options(parser)
    parser.add_argument("--network", choices=network_names(), default="vgg16")
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--compared", type=int, default=64, help="samples that the CPU runs too")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--timesteps", type=int, default=4)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    case = {
        "network": options.network,
        "image": IMAGE,
        "timesteps": options.timesteps,
        "batch": options.batch,
        "samples": options.samples,
        "compared": options.compared,
    }
    results = Results("evaluate", options)
    if not results.is_wanted(case):
        return 0
    row = measure_case(options)
    results.add(case, row)
    print(row)
    return 0 if row["float64"]["is_equal"] else 1


def measure_case(options: argparse.Namespace) -> dict[str, Any]:
    """Rates and differences in both precisions."""
    torch.manual_seed(options.seed)
    network = build_network(NetworkSettings(name=options.network), NEURON, IMAGE, CLASSES)
    x = torch.rand(options.samples, *IMAGE)
    y = torch.randint(CLASSES, (options.samples,))
    _take_statistics(network, x[:FOR_STATISTICS], options.timesteps)
    graph = export_nir(network, IMAGE).graph
    row: dict[str, Any] = {}
    for name, dtype in (("float32", torch.float32), ("float64", torch.float64)):
        there = Simulator(graph, DEFAULT_DT, dtype, options.device)
        here = Simulator(graph, DEFAULT_DT, dtype, "cpu")
        few = (x[: options.compared], y[: options.compared])
        found = _run(there, *few, options, options.device)
        row[name] = _differences(found, _run(here, *few, options, "cpu"))
        if dtype is torch.float32:
            rates = [_rate(there, x, y, options) for _ in range(1 + options.repetitions)][1:]
            row[name] |= {"images_per_s": sorted(rates), "density": found.network_density}
    return row


def _take_statistics(network: nn.Module, x: Tensor, timesteps: int) -> None:
    """Give batchnorm the statistics of these images, then switch to evaluation."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        Unrolled(network, timesteps)(encode(x, timesteps))
    network.eval()


def _run(
    simulator: Simulator, x: Tensor, y: Tensor, options: argparse.Namespace, device: str
) -> Activity:
    return measure_activity(
        simulator,
        batches(x, y, options.batch),
        timesteps=options.timesteps,
        encoding="direct",
        readout="mean",
        device=device,
    )


def _rate(simulator: Simulator, x: Tensor, y: Tensor, options: argparse.Namespace) -> float:
    """Images per second by the clock, from the host and back to it."""
    start = time.perf_counter()
    _run(simulator, x, y, options, options.device)
    return len(x) / (time.perf_counter() - start)


def _differences(there: Activity, here: Activity) -> dict[str, Any]:
    """Spikes that one device counted and the other did not, neuron by neuron."""
    off = {
        name: float((there.spike_counts[name] - counts).abs().sum())
        for name, counts in here.spike_counts.items()
    }
    spikes = sum(float(counts.sum()) for counts in here.spike_counts.values())
    return {
        "is_equal": not any(off.values()) and there.correct == here.correct,
        "spikes": spikes,
        "differing": sum(off.values()),
        "differing_by_layer": {name: value for name, value in off.items() if value},
        "correct": [there.correct, here.correct],
    }


if __name__ == "__main__":
    sys.exit(main())
