"""Random networks of each chip in its own integers, large enough to reach the rails."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mpo_snn.deploy.layers import INPUT
from mpo_snn.deploy.loihi_core import LoihiNeurons
from mpo_snn.deploy.speck_core import SpeckLayer, SpeckSource
from mpo_snn.deploy.xylo_core import XyloNetwork, XyloNeurons
from mpo_snn.graph.neuron_behaviour import ResetKind


def xylo_network(seed: int, version: Literal[1, 2], *, large: bool) -> XyloNetwork:
    """6 inputs, 12 recurrent hidden neurons with 2 synapses, 3 outputs; shifts of 7 if large."""
    rng = np.random.default_rng(seed)

    def integers(low: int, high: int, *shape: int) -> Tensor:
        return torch.from_numpy(rng.integers(low, high, shape))

    def population(count: int, synapses: int) -> XyloNeurons:
        most = 20_000 if large else 400
        return XyloNeurons(
            integers(0, 7, count),
            integers(0, 7, count, synapses),
            integers(20, most, count),
            integers(-most, most, count),
        )

    shift = 7 if large else 0
    return XyloNetwork(
        integers(-128, 128, 6, 12, 2),
        integers(-128, 128, 12, 12, 2),
        integers(-128, 128, 12, 3),
        population(12, 2),
        population(3, 1),
        shift,
        shift,
        shift,
        version,
    )


def xylo_arrays(network: XyloNetwork) -> dict[str, Any]:
    """The network as plain arrays, for a runner."""
    hidden, output = network.hidden, network.output
    return {
        "version": network.version,
        "weights_in": network.weights_in,
        "weights_rec": network.weights_rec,
        "weights_out": network.weights_out,
        "dash_mem": hidden.dash_mem,
        "dash_syn": hidden.dash_syn,
        "threshold": hidden.threshold,
        "bias": hidden.bias,
        "dash_mem_out": output.dash_mem,
        "dash_syn_out": output.dash_syn,
        "threshold_out": output.threshold,
        "bias_out": output.bias,
        "shift_in": network.shift_in,
        "shift_rec": network.shift_rec,
        "shift_out": network.shift_out,
    }


def speck_layers(seed: int, most_spikes: int | None, reset: ResetKind) -> list[SpeckLayer]:
    """Three layers on 12x12 pixels, the first with pooling; thresholds that are often doubled."""
    generator = torch.Generator().manual_seed(seed)

    def integers(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, shape, generator=generator)

    layers, channels, before = [], (2, 4, 4, 3), INPUT
    for index, (into, out) in enumerate(pairwise(channels)):
        layers.append(
            SpeckLayer(
                name=f"layer{index}",
                sources=(SpeckSource(before, (2, 2) if index == 1 else (1, 1)),),
                weight=integers(-128, 128, out, into, 3, 3),
                bias=integers(-128, 128, out),
                threshold=int(integers(60, 400, 1)),
                lower=-int(integers(60, 400, 1)),
                padding=(1, 1),
                most_spikes=most_spikes,
                reset=reset,
            )
        )
        before = f"layer{index}"
    return layers


def loihi_neurons(seed: int) -> LoihiNeurons:
    """16 neurons of every leak, as an emulator takes them."""
    generator = torch.Generator().manual_seed(seed)

    def integers(low: int, high: int) -> Tensor:
        return torch.randint(low, high, (16,), generator=generator)

    return LoihiNeurons(
        decay_u=integers(0, 4096),
        decay_v=integers(0, 4096),
        threshold=integers(1, 1 << 17) * 64,
        bias=integers(-4095, 4096) * 2 ** integers(0, 8),
    )
