"""How much networks let the gradient grow from their last to their first layer of neurons.

    python -m benchmarks.gradient_growth [--network mlp resnet19] [--scale 0.2 0.5 0.7]

Weights as they start, random images, one backward pass of random gradients. Measured: the norm of
the gradient at the spikes of the first layer over that of the last one. Predicted: the product of
what `mpo_snn.gradient_growth` says of each layer but the first.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import Results, add_common_options
from mpo_snn.mpo import MPO
from mpo_snn.networks import build_network
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.settings import MPOSettings, NeuronSettings
from mpo_snn.unroll import Unrolled

IMAGE = (3, 32, 32)
CLASSES = 10
NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {"name": "mlp", "hidden": [256] * 16},
    "mlp-without-batchnorm": {"name": "mlp", "hidden": [256] * 16, "normalise": False},
    "vgg16": {"name": "vgg16", "channel_scale": 0.25},
    "resnet19": {"name": "resnet19", "channel_scale": 0.25},
}
SCALES = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0)


def main(argv: list[str] | None = None) -> int:
    """Measure what has no result yet."""
    parser = argparse.ArgumentParser(prog="benchmarks.gradient_growth", description=__doc__)
    add_common_options(parser)
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--scale", type=float, nargs="+", default=list(SCALES), help="c")
    parser.add_argument("--timesteps", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    results = Results("gradient_growth", options)
    for network, timesteps, c in itertools.product(
        options.network, options.timesteps, options.scale
    ):
        case = {"network": network, "timesteps": timesteps, "c": c, "batch": options.batch}
        if results.is_wanted(case):
            row = measure_case(case, options)
            results.add(case, row)
            print(
                f"  {row['layers']} layers: grows {row['measured']:.3g} times, predicted"
                f" {row['predicted']:.3g}; a layer {row['measured_per_layer']:.3f},"
                f" {row['predicted_per_layer']:.3f}"
            )
    return 0


def measure_case(case: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """One row: width settled at c times the reach, then one backward pass."""
    torch.manual_seed(options.seed)
    settings = NetworkSettings(**NETWORKS[case["network"]])
    network = build_network(settings, NeuronSettings(), IMAGE, CLASSES).to(options.device).train()
    unrolled = Unrolled(network, case["timesteps"])
    mpo = MPO(network, MPOSettings(width_scale=case["c"], width_scale_end=None, width_momentum=0.0))
    x = torch.randn(case["batch"], *IMAGE, device=options.device)
    x = x.expand(case["timesteps"], *x.shape)
    for _ in range(2):
        unrolled(x)
        mpo.step()
    spikes: dict[str, Tensor] = {}

    def observe(name: str, spk: Tensor, v: Tensor) -> None:
        spk.retain_grad()
        spikes[name] = spk

    output = unrolled(x, observe)
    (output.mean(0) * torch.randn_like(output[0])).sum().backward()
    norms = [float(grad.norm()) for spk in spikes.values() if (grad := spk.grad) is not None]
    growths = [values["gradient_growth"] for values in mpo.statistics().values()]
    measured, predicted = norms[0] / norms[-1], math.prod(growths[1:])
    steps = len(norms) - 1
    return {
        "layers": len(norms),
        "measured": measured,
        "predicted": predicted,
        "measured_per_layer": measured ** (1 / steps),
        "predicted_per_layer": predicted ** (1 / steps),
    }


if __name__ == "__main__":
    sys.exit(main())
