"""The float network as a sinabs model, out of plain arrays: `DynapcnnNetwork` takes it.

Needs torch and sinabs alone, so that this file also runs where mpo-snn is not installed: sinabs and
samna keep to an environment of their own. It never imports samna.

Arrays of layer k, from 0 on in the order in which they run: ``name``, ``weight`` (out, in, height,
width), ``bias`` (out,), ``threshold``, ``lower``, ``stride`` and ``padding`` (height, width),
``most_spikes`` (0 for no limit), ``reset``, ``sources`` (numbers of layers, -1 for the input) and
``pools`` (a side for each source); each with k behind its name. ``layers`` is their number.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class SpeckModel(nn.Module):
    """Convolutions, IF neurons and sum pooling; (batch x time, C, H, W) in and out.

    Args:
        arrays: see the module.
        batch_size: of the events that it will run.

    Raises:
        ImportError: if sinabs is not installed.
    """

    def __init__(self, arrays: Mapping[str, Any], batch_size: int = 1) -> None:
        """Build all layers, which carry the numbers of the network in float32."""
        super().__init__()
        layers = importlib.import_module("sinabs.layers")
        self.sources: list[list[int]] = []
        for k in range(int(arrays["layers"])):
            sources = [int(source) for source in arrays[f"sources{k}"]]
            self.sources.append(sources)
            self.add_module(f"convolution{k}", _convolution(arrays, k))
            self.add_module(f"neurons{k}", _neurons(arrays, k, batch_size))
            for place, pool in enumerate(arrays[f"pools{k}"]):
                # Of 1x1 as well: sinabs 3.1.3 fails on a source that is pooled on one way only.
                if sources[place] >= 0:
                    self.add_module(f"pool{k}_{place}", layers.SumPool2d(int(pool)))
            for place in range(1, len(sources)):
                self.add_module(f"merge{k}_{place}", layers.Merge())

    def forward(self, events: Tensor) -> Tensor:
        """Spikes of the last layer."""
        fired: list[Tensor] = []
        for k, sources in enumerate(self.sources):
            arriving: Tensor | None = None
            for place, source in enumerate(sources):
                part = events if source < 0 else fired[source]
                pool = getattr(self, f"pool{k}_{place}", None)
                part = part if pool is None else pool(part)
                merge = getattr(self, f"merge{k}_{place}", None)
                arriving = part if merge is None else merge(arriving, part)
            convolution, neurons = getattr(self, f"convolution{k}"), getattr(self, f"neurons{k}")
            fired.append(neurons(convolution(arriving)))
        return fired[-1]


def _convolution(arrays: Mapping[str, Any], k: int) -> nn.Conv2d:
    weight = torch.as_tensor(arrays[f"weight{k}"], dtype=torch.float32)
    bias = torch.as_tensor(arrays[f"bias{k}"], dtype=torch.float32)
    out, into, height, width = weight.shape
    stride, padding = (
        (int(arrays[f"{key}{k}"][0]), int(arrays[f"{key}{k}"][1])) for key in ("stride", "padding")
    )
    layer = nn.Conv2d(into, out, (height, width), stride, padding, bias=bool(bias.any()))
    layer.weight.data = weight
    if layer.bias is not None:
        layer.bias.data = bias
    return layer


def _neurons(arrays: Mapping[str, Any], k: int, batch_size: int) -> nn.Module:
    activation = importlib.import_module("sinabs.activation")
    layers = importlib.import_module("sinabs.layers")
    most = int(arrays[f"most_spikes{k}"])
    spikes = {0: activation.MultiSpike, 1: activation.SingleSpike}.get(most)
    subtract = str(arrays[f"reset{k}"]) == "subtract"
    neurons: nn.Module = layers.IAFSqueeze(
        batch_size=batch_size,
        spike_threshold=torch.tensor(float(arrays[f"threshold{k}"])),
        spike_fn=activation.MaxSpike(most) if spikes is None else spikes,
        reset_fn=activation.MembraneSubtract() if subtract else activation.MembraneReset(),
        min_v_mem=float(arrays[f"lower{k}"]),
    )
    return neurons
