"""What counting costs: a VGG as NIR, run with and without counts, beside dense inference in torch.

    python -m benchmarks.counting [--network vgg16] [--batch 16] [--timesteps 4] [--again]

All run the same images with the same weights, in float32, by turns (README.md has the protocol):

- `none`: the simulator, nothing recorded; `counts`: the same, spikes counted;
- `read`: adding up all spikes once into one number, the least that an exact count must do;
- `synops`: the operations worked out of the counts, once for a whole data set;
- `spiking`: the same network as torch.nn modules, unrolled over time;
- `dense`: the same layers with ReLU in place of neurons, one pass; `dense T`: T passes at once.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measure import Results, add_common_options, take_turns
from benchmarks.networks import NEURON
from mpo_snn.encoding import encode
from mpo_snn.evaluation.roles import assign_roles
from mpo_snn.evaluation.synops import count_synapses
from mpo_snn.export.nir_export import DEFAULT_DT, export_nir
from mpo_snn.graph.simulate import Simulator
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

    runs: dict[str, Callable[[], object]] = {
        "none": lambda: simulator.run(x),
        "counts": lambda: simulator.run(x, record="counts"),
        "read": lambda: [spikes.sum() for spikes in fired],
        "synops": synops,
        "spiking": lambda: unrolled(x),
        "dense": lambda: dense(images),
        "dense T": lambda: dense(many),
    }
    times = take_turns(runs, options.device, options.repetitions)
    median = {name: time["median_s"] for name, time in times.items()}
    extra = median["counts"] - median["none"]
    neurons = sum(counts.numel() for counts in counted.counts.values())
    spikes = sum(float(counts.sum()) for counts in counted.counts.values())
    return {
        "is_exact": is_exact,
        "density": spikes / (neurons * options.timesteps * options.batch),
        "times": times,
        "counts_over_none": median["counts"] / median["none"],
        "extra_over_dense_T": extra / median["dense T"],
        "read_over_dense_T": median["read"] / median["dense T"],
        "extra_over_dense": extra / median["dense"],
    }


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
