"""Loihi's compartments, and whole networks that our quantizer rounds."""

from __future__ import annotations

from collections.abc import Callable

import torch

from mpo_snn.deploy.layers import ChipGraph
from mpo_snn.deploy.loihi_core import run_loihi
from mpo_snn.deploy.loihi_quantize import quantize_loihi
from mpo_snn.profiles.chip import load_chip_profile

from .kind import BATCH, STEPS, Kind, Made
from .loihi_graphs import described, image_graph, recurrent_graph
from .networks import loihi_neurons


def _loihi(bits: int) -> Callable[[int], Made]:
    def make(seed: int) -> Made:
        neurons = loihi_neurons(seed)
        generator = torch.Generator().manual_seed(seed)
        total = torch.randint(-(1 << bits), 1 << bits, (STEPS, BATCH, 16), generator=generator)
        keys = ("decay_u", "decay_v", "threshold", "bias", "v_min", "v_max")
        arrays = {key: getattr(neurons, key) for key in keys} | {"total": total}
        run = run_loihi(neurons, total)
        ours = {key: getattr(run, key) for key in ("spikes", "u", "v")}
        return arrays, ours, run.overflows + run.clamped

    return make


def _loihi_network(graph_of: Callable[[int], ChipGraph], most: int) -> Callable[[int], Made]:
    """Rounded by us from real numbers; up to `most` events of an input in a step."""

    def make(seed: int) -> Made:
        graph = graph_of(seed)
        generator = torch.Generator().manual_seed(seed)
        shape = (STEPS, BATCH, *graph.input_shape)
        calibration = torch.randint(0, 2, shape, generator=generator)
        events = torch.randint(0, most + 1, shape, generator=generator)
        network = quantize_loihi(graph, load_chip_profile("loihi-1"), calibration)
        states = network.rest(BATCH)
        steps: dict[str, list[torch.Tensor]] = {}
        for fired in network.steps(events, states):
            for name, state in states.items():
                values = (fired[name].flatten(1).long(), state.u, state.v)
                for kind, value in zip(("spikes", "u", "v"), values, strict=True):
                    steps.setdefault(f"{kind}.{name}", []).append(value)
        ours = {key: torch.stack(values) for key, values in steps.items()}
        arrays = {"events": events, **described(graph), **network.tensors()}
        return arrays, ours, sum(state.overflows + state.clamped for state in states.values())

    return make


_CORE = ("nengo-loihi 1.1.0", "loihi", "run_nengo_loihi.py")
_NETWORK = ("nengo-loihi 1.1.0", "loihi", "run_nengo_loihi_network.py")
KINDS = (
    Kind("Loihi", *_CORE, _loihi(17)),
    Kind("Loihi, sums beyond 22 bits", *_CORE, _loihi(23)),
    Kind("Loihi network, recurrent", *_NETWORK, _loihi_network(recurrent_graph, 1)),
    Kind("Loihi network, beyond its rails", *_NETWORK, _loihi_network(recurrent_graph, 100)),
    Kind("Loihi network, convolutions, pooling", *_NETWORK, _loihi_network(image_graph, 1)),
)
