"""What counting costs: a VGG as NIR, run with and without counts, beside dense inference in torch.

    python -m benchmarks.counting [--network vgg16] [--batch 16] [--timesteps 4] [--again]

All run the same images with the same weights, in float32, by turns (README.md has the protocol):

- `none`: the simulator, nothing recorded; `counts`: the same, spikes counted; `classes`: and added
  up by what they drive, for SynOps of every class, as `mpo-evaluate` does; each in one pass and
  `step by step`, without what numba compiles (`mpo_snn/graph/fused_scan.py`);
- `read`: adding up all spikes once into one number, the least that an exact count must do;
- `synops`: the operations worked out of the counts, once for a whole data set;
- `spiking`: the same network as torch.nn modules, unrolled over time;
- `dense`: the same layers with ReLU in place of neurons, one pass; `dense T`: T passes at once.

What counting adds is the median of differences between `counts` and `none` of the same round: of
the time at the neurons (their scan and the recorder), where all of it happens, and, with far more
noise, of whole runs. On a GPU there are whole runs alone.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmarks.measure import WARM_UP, Results, add_common_options, seconds, take_turns
from benchmarks.networks import NEURON
from mpo_snn.encoding import encode
from mpo_snn.evaluation.activity import sums_of
from mpo_snn.evaluation.roles import assign_roles
from mpo_snn.evaluation.synops import by_source, count_synapses, driven_synapses
from mpo_snn.export.nir_export import DEFAULT_DT, export_nir
from mpo_snn.graph import fused_scan
from mpo_snn.graph.fan_out import FanOut
from mpo_snn.graph.neurons import Layer
from mpo_snn.graph.record import Recorder
from mpo_snn.graph.simulate import Simulator
from mpo_snn.kernels import is_installed
from mpo_snn.networks import build_network, network_names
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.neurons import MPONeuron
from mpo_snn.unroll import Unrolled

CLASSES, IMAGE = 10, (3, 32, 32)


def main(argv: list[str] | None = None) -> int:
    """Measure what has no result yet; 1 if counts are not those of the recorded spikes."""
    parser = argparse.ArgumentParser(prog="benchmarks.counting", description=__doc__)
    add_common_options(parser)
    parser.add_argument("--network", choices=network_names(), default="vgg16")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--timesteps", type=int, default=4)
    parser.add_argument("--repetitions", type=int, default=9)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    case = {
        "network": options.network,
        "image": IMAGE,
        "timesteps": options.timesteps,
        "batch": options.batch,
        "precision": "fp32",
    }
    results = Results("counting", options)
    if not results.is_wanted(case):
        return 0
    row = measure_case(options)
    results.add(case, row)
    print(row)
    return 0 if row["is_exact"] else 1


@torch.no_grad()
def measure_case(options: argparse.Namespace) -> dict[str, Any]:
    """Times of all, after the counts have equalled the recorded spikes."""
    torch.manual_seed(options.seed)
    network = build_network(NetworkSettings(name=options.network), NEURON, IMAGE, CLASSES)
    images = torch.rand(options.batch, *IMAGE).to(options.device)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0  # one pass gives it the statistics of these images
    Unrolled(network, options.timesteps)(encode(images.cpu(), options.timesteps))
    network.eval()
    simulator = Simulator(export_nir(network, IMAGE).graph, DEFAULT_DT, device=options.device)
    x = encode(images, options.timesteps)
    counted, recorded = simulator.run(x, record="counts"), simulator.run(x, record="spikes")
    is_exact = all(
        torch.equal(counted.counts[name], spikes.double().sum((0, 1)))
        for name, spikes in recorded.spikes.items()
    )
    fired = [spikes.to(torch.float32) for spikes in recorded.spikes.values()]
    network.to(options.device)
    unrolled, dense = Unrolled(network, options.timesteps), _without_neurons(network)
    many = images.repeat(options.timesteps, 1, 1, 1)
    flat, shapes = simulator.flat, simulator.node_shapes

    def synops() -> object:
        with torch.enable_grad():
            return count_synapses(
                flat,
                assign_roles(flat),
                shapes,
                counted.counts,
                options.timesteps,
                constant_input=True,
            )

    times = take_turns(
        {
            "read": lambda: [spikes.sum() for spikes in fired],
            "synops": synops,
            "spiking": lambda: unrolled(x),
            "dense": lambda: dense(images),
            "dense T": lambda: dense(many),
        },
        options.device,
        options.repetitions,
    )
    dense_s = times["dense T"]["median_s"]
    extra = partial(_extra, simulator, x, _fan_out(simulator), options, dense_s)
    neurons = sum(counts.numel() for counts in counted.counts.values())
    spikes = sum(float(counts.sum()) for counts in counted.counts.values())
    return {
        "is_exact": is_exact,
        "density": spikes / (neurons * options.timesteps * options.batch),
        "times": times,
        "dense_T_s": dense_s,
        "read_over_dense_T": times["read"]["median_s"] / dense_s,
        "in_one_pass": extra(one_pass=True) if is_installed("numba") else None,
        "step_by_step": extra(one_pass=False),
    }


def _fan_out(simulator: Simulator) -> dict[str, FanOut]:
    """What a spike of each neuron drives, as `measure_activity` asks for it."""
    flat = simulator.flat
    with torch.enable_grad():
        driven = driven_synapses(flat, assign_roles(flat), simulator.node_shapes)
    return sums_of(by_source(driven, simulator.spiking), simulator.device)


def _extra(
    simulator: Simulator,
    x: Tensor,
    fan_out: dict[str, FanOut],
    options: argparse.Namespace,
    dense_s: float,
    *,
    one_pass: bool,
) -> dict[str, Any]:
    """What counting adds, alone and with SynOps of classes, at the neurons and to whole runs."""
    ways: dict[str, dict[str, Any]] = {
        "none": {"record": "none"},
        "counts": {"record": "counts"},
        "classes": {"record": "counts", "fan_out": fan_out},
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with patch.object(fused_scan, "is_installed", lambda package: one_pass):
        for turn in range(WARM_UP + options.repetitions):
            for name in sorted(ways, reverse=bool(turn % 2)):
                with _time_at_neurons() as at_neurons:
                    whole = seconds(partial(simulator.run, x, **ways[name]), options.device)
                found[name].append((at_neurons[0], whole))
    kept = {name: values[WARM_UP:] for name, values in found.items()}
    row: dict[str, Any] = {}
    for (index, where), way in itertools.product(
        enumerate(("at_neurons", "whole_run")), ("counts", "classes")
    ):
        if where == "at_neurons" and options.device != "cpu":
            continue
        none, counts = ([value[index] for value in kept[key]] for key in ("none", way))
        differences = [b - a for a, b in zip(none, counts, strict=True)]
        low, middle, high = statistics.quantiles(differences, n=4)
        row[where if way == "counts" else f"{where}_with_classes"] = {
            "none_median_s": statistics.median(none),
            "counts_median_s": statistics.median(counts),
            "extra_quartiles_s": [low, middle, high],
            "extra_over_dense_T": middle / dense_s,
            "extra_quartiles_over_dense_T": [low / dense_s, middle / dense_s, high / dense_s],
        }
    return row


@contextmanager
def _time_at_neurons() -> Iterator[list[float]]:
    """Process time that is spent in scans of neurons and in the recorder."""
    total = [0.0]

    def timed(method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            start = time.process_time()
            result = method(*args, **options)
            total[0] += time.process_time() - start
            return result

        return run

    with (
        patch.object(Layer, "scan", timed(Layer.scan)),
        patch.object(Recorder, "add", timed(Recorder.add)),
    ):
        yield total


def _without_neurons(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """A copy with ReLU in place of every layer of neurons."""
    network = copy.deepcopy(network)

    def replace(parent: nn.Module) -> None:
        for name, child in parent.named_children():
            if isinstance(child, MPONeuron):
                setattr(parent, name, nn.ReLU())
            else:
                replace(child)

    replace(network)
    return network.eval()


if __name__ == "__main__":
    sys.exit(main())
