"""Inference of an exported VGG on the CPU, at three densities, beside snnTorch and ONNX Runtime.

    python -m benchmarks.inference [--densities 0.15 0.08 0.04] [--batch 16] [--again]

All run the same images with the same weights in float32, by turns (README.md has the protocol). The
network has six convolutions of half a VGG's width; its densities are set by the bias of every
batchnorm, after one pass has given it the statistics of the images.

- `snntorch loop`: snntorch.Leaky and torch modules, all layers at one timestep, then the next;
- `snntorch loop, folded`: the same with every batchnorm folded into its convolution;
- `onnxruntime`: the graph unrolled over time as ONNX (`mpo-export --unrolled`), no spinning,
  skipped where it is not installed;
- `dense`: the simulator of exported graphs, spikes counted as in `mpo-evaluate --events never`;
- `events`: the same with `--events auto`, after the batches that it takes to go over to events.

Nothing is timed before: in float64 both snnTorch networks have the simulator's logits to 1e-7; in
float32 all but the folded one, whose weights are rounded anew and may tip a spike, give the same
predictions (the JSON says how far logits are apart); output and counts of `events` are those of
`dense` bit for bit.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from benchmarks.measure import Results, add_common_options, take_turns
from benchmarks.networks import NEURON, builders
from mpo_snn.encoding import encode
from mpo_snn.errors import MpoError
from mpo_snn.export.nir_export import DEFAULT_DT, export_nir
from mpo_snn.graph import by_density
from mpo_snn.graph.simulate import Simulator
from mpo_snn.networks.vgg import VGG
from mpo_snn.unroll import Unrolled

CLASSES, IMAGE = 10, (3, 32, 32)
STAGES, HIDDEN = ((32, 32), (64, 64), (128, 128)), (256,)
HALVINGS = 14
"""Of the interval in which the bias is looked for that gives a density."""


def main(argv: list[str] | None = None) -> int:
    """Measure what has no result yet; 1 if a variant does not compute what the others do."""
    parser = argparse.ArgumentParser(prog="benchmarks.inference", description=__doc__)
    add_common_options(parser)
    parser.add_argument("--densities", type=float, nargs="+", default=[0.15, 0.08, 0.04])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--timesteps", type=int, default=4)
    parser.add_argument("--repetitions", type=int, default=15)
    options = parser.parse_args(argv)
    options.device = "cpu"
    torch.set_num_threads(options.threads)
    results = Results("inference", options)
    is_wrong = False
    for density in options.densities:
        case = {
            "stages": STAGES,
            "hidden": HIDDEN,
            "image": IMAGE,
            "timesteps": options.timesteps,
            "batch": options.batch,
            "aimed_density": density,
            "precision": "fp32",
        }
        if not results.is_wanted(case):
            continue
        row = measure_case(density, options)
        results.add(case, row)
        print(row, flush=True)
        is_wrong |= not row["is_equal"]
    return int(is_wrong)


@torch.no_grad()
def measure_case(density: float, options: argparse.Namespace) -> dict[str, Any]:
    """Times of all, after all have given the same."""
    torch.manual_seed(options.seed)
    images, steps = torch.rand(options.batch, *IMAGE), options.timesteps
    x = encode(images, steps)
    network = network_of(density, x)
    graph = export_nir(network, IMAGE).graph
    by_density.WORTH = 0  # events from the second run on
    dense, events = Simulator(graph, DEFAULT_DT), Simulator(graph, DEFAULT_DT, events=True)
    events.run(x)  # dense, and checked
    loop = builders(steps)["snntorch loop"]
    plain, folded = loop(network), loop(_folded(network))
    unrolled, skipped = _if_installed(lambda: onnx_runtime(graph, steps))
    logits = {
        "snntorch loop": plain.logits(images),
        "snntorch loop, folded": folded.logits(images),
        "dense": dense.run(x).output.mean(0),
        "events": events.run(x).output.mean(0),
    }
    if unrolled is not None:
        logits["onnxruntime"] = unrolled(images)
    counted, by_events = dense.run(x, record="counts"), events.run(x, record="counts")
    in_double = Simulator(graph, DEFAULT_DT, torch.float64).run(x.double()).output.mean(0)
    network = network.double()
    off = max(
        float((loop(net).logits(images.double()) - in_double).abs().max())
        for net in (network, _folded(network))
    )
    span = float(logits["dense"].max() - logits["dense"].min())
    differences = {
        name: float((value - logits["dense"]).abs().max()) / span for name, value in logits.items()
    }
    same = torch.equal(counted.output, by_events.output) and all(
        torch.equal(spikes, by_events.counts[name]) for name, spikes in counted.counts.items()
    )
    is_equal = (
        same
        and off < 1e-7
        and all(
            torch.equal(value.argmax(1), logits["dense"].argmax(1))
            for name, value in logits.items()
            if name != "snntorch loop, folded"
        )
    )
    row: dict[str, Any] = {
        "is_equal": is_equal,
        "largest_difference_of_logits_in_float64": off,
        "largest_difference_of_logits_over_their_range": differences,
        **densities(graph, x, counted.counts),
        "on_events": events.on_events,
        "skipped": skipped,
    }
    if not is_equal:
        return row
    runs: dict[str, Callable[[], object]] = {
        "snntorch loop": lambda: plain.logits(images),
        "snntorch loop, folded": lambda: folded.logits(images),
        **({} if unrolled is None else {"onnxruntime": lambda: unrolled(images)}),
        "dense": lambda: dense.run(x, record="counts"),
        "events": lambda: events.run(x, record="counts"),
    }
    times = take_turns(runs, "cpu", options.repetitions)
    base = times["snntorch loop"]["median_s"]
    row["times"] = times
    row["faster_than_snntorch"] = {name: base / t["median_s"] for name, t in times.items()}
    row["events_faster_than"] = {
        name: t["median_s"] / times["events"]["median_s"] for name, t in times.items()
    }
    return row


def network_of(density: float, x: Tensor) -> nn.Module:
    """The network whose neurons fire so often on these images, all together."""
    network = VGG("vgg6", IMAGE, CLASSES, STAGES, HIDDEN, NEURON)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0  # one pass gives it the statistics of these images
    low, high = -4.0, 2.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        for norm in norms:
            nn.init.constant_(norm.bias, middle)
        network.train()
        Unrolled(network, len(x))(x)
        network.eval()
        run = Simulator(export_nir(network, IMAGE).graph, DEFAULT_DT).run(x, record="counts")
        low, high = (middle, high) if _density(run.counts, x) < density else (low, middle)
    return network


def densities(graph: Any, x: Tensor, counts: dict[str, Tensor]) -> dict[str, Any]:
    """Of all neurons together, of each layer, and of what enters each convolution but the first."""
    entering: dict[str, float] = {}

    def watch(name: str, values: Tensor, repeats: int) -> None:
        if "features" in name and simulator.flat.nodes[name].__class__.__name__ == "Conv2d":
            entering[name] = float((values != 0).float().mean())

    simulator = Simulator(graph, DEFAULT_DT)
    simulator.run(x, watch=watch)
    return {
        "density": _density(counts, x),
        "density_of_layers": {name: _density({name: c}, x) for name, c in counts.items()},
        "density_entering": dict(list(entering.items())[1:]),
    }


def _density(counts: dict[str, Tensor], x: Tensor) -> float:
    neurons = sum(spikes.numel() for spikes in counts.values())
    spikes = sum(float(spikes.sum()) for spikes in counts.values())
    return spikes / (neurons * x.shape[0] * x.shape[1])


def _folded(network: nn.Module) -> nn.Module:
    """A copy with every batchnorm folded into what stands in front of it."""
    network = copy.deepcopy(network)
    for parent in [m for m in network.modules() if isinstance(m, nn.Sequential)]:
        children = dict(parent.named_children())
        for (before, layer), (name, norm) in zip(
            list(children.items()), list(children.items())[1:], strict=False
        ):
            if isinstance(norm, nn.BatchNorm2d):
                setattr(parent, before, fuse_conv_bn_eval(layer, norm))
                setattr(parent, name, nn.Identity())
            elif isinstance(norm, nn.BatchNorm1d):
                setattr(parent, before, fuse_linear_bn_eval(layer, norm))
                setattr(parent, name, nn.Identity())
    return network


def _if_installed(
    build: Callable[[], Callable[[Tensor], Tensor]],
) -> tuple[Callable[[Tensor], Tensor] | None, dict[str, str]]:
    """ONNX Runtime's run, or the reason why there is none."""
    try:
        return build(), {}
    except (ImportError, MpoError) as error:
        return None, {"onnxruntime": str(error)}


def onnx_runtime(graph: Any, timesteps: int) -> Callable[[Tensor], Tensor]:
    """The unrolled graph, as the export writes it, in ONNX Runtime."""
    import onnxruntime

    from mpo_snn.export.to_onnx.build import build_onnx

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.inter_op_num_threads = 1
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    model = build_onnx(graph, DEFAULT_DT, timesteps=timesteps, readout="mean")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )

    def run(images: Tensor) -> Tensor:
        (scores,) = session.run(["scores"], {"input": images.numpy()})
        return torch.from_numpy(np.asarray(scores))

    return run


if __name__ == "__main__":
    sys.exit(main())
