"""Speck's layers, and float networks that our quantizer and sinabs round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from mpo_snn.deploy.speck_check import placement_of
from mpo_snn.deploy.speck_convolution import as_convolution
from mpo_snn.deploy.speck_core import run_speck
from mpo_snn.deploy.speck_placement import memory_of
from mpo_snn.deploy.speck_quantize import quantize_speck
from mpo_snn.deploy.speck_vendor import vendor_arrays
from mpo_snn.graph.neuron_behaviour import ResetKind
from mpo_snn.profiles.chip import load_chip_profile

from .kind import BATCH, STEPS, Kind, Made
from .networks import speck_layers
from .speck_graphs import digits_graph


def _speck(most_spikes: int | None, reset: ResetKind) -> Callable[[int], Made]:
    def make(seed: int) -> Made:
        layers = speck_layers(seed, most_spikes, reset)
        generator = torch.Generator().manual_seed(seed)
        events = torch.randint(0, 3, (STEPS, BATCH, 2, 12, 12), generator=generator)
        arrays: dict[str, Any] = {"events": events, "layers": len(layers)}
        arrays |= {"spikes": "single" if most_spikes == 1 else "multi", "reset": reset}
        for index, layer in enumerate(layers):
            arrays[f"pool{index}"] = layer.sources[0].pool[0]
            for key in ("weight", "bias", "threshold", "lower"):
                arrays[f"{key}{index}"] = getattr(layer, key)
        run = run_speck(layers, events, keep_v=True)
        ours = {}
        for index, layer in enumerate(layers):
            ours |= {f"spikes{index}": run.spikes[layer.name], f"v{index}": run.v[layer.name]}
        dropped = (int((run.v[layer.name] == layer.lower).sum()) for layer in layers)
        return arrays, ours, sum(dropped)

    return make


def _speck_network(
    reset: ResetKind, most_spikes: int, bias: bool, skip: bool
) -> Callable[[int], Made]:
    """A float network through our quantizer and theirs: integers, memory, spikes, membranes."""
    profile = load_chip_profile("speck-2e")

    def make(seed: int) -> Made:
        graph = digits_graph(seed, reset, most_spikes, bias=bias, skip=skip)
        network = quantize_speck(graph, profile)
        placement = placement_of(graph, profile)
        generator = torch.Generator().manual_seed(seed)
        events = torch.randint(0, 3, (STEPS, BATCH, *graph.input_shape), generator=generator)
        run = run_speck(network.layers, events, keep_v=True)
        ours = {"placed": torch.tensor(len(placement.cores))}
        for k, layer in enumerate(network.layers):
            memory = memory_of(as_convolution(graph.layers[k]), bias)
            ours |= {
                f"weight{k}": layer.weight,
                f"bias{k}": layer.bias,
                f"threshold{k}": torch.tensor(layer.threshold),
                f"lower{k}": torch.tensor(layer.lower),
                f"memory{k}": torch.tensor((memory.kernel, memory.neuron, memory.bias)),
                f"spikes{k}": run.spikes[layer.name],
                f"v{k}": run.v[layer.name],
            }
        dropped = (int((run.v[layer.name] == layer.lower).sum()) for layer in network.layers)
        return vendor_arrays(network) | {"events": events}, ours, sum(dropped)

    return make


_LAYERS = ("sinabs 3.1.3", "legacy", "run_dynapcnn.py")
_NETWORK = ("sinabs 3.1.3", "legacy", "run_dynapcnn_network.py")
KINDS = (
    Kind("Speck, multi, subtract", *_LAYERS, _speck(None, "subtract")),
    Kind("Speck, single, subtract", *_LAYERS, _speck(1, "subtract")),
    Kind("Speck, multi, zero", *_LAYERS, _speck(None, "zero")),
    Kind("Speck, float network", *_NETWORK, _speck_network("subtract", 32_767, False, False)),
    Kind("Speck, float network, biases", *_NETWORK, _speck_network("zero", 1, True, False)),
    Kind("Speck, float network, two ways", *_NETWORK, _speck_network("subtract", 3, True, True)),
)
