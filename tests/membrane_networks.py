"""snnTorch networks that are read out by a membrane, their own loop, and a slow one in numpy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import snntorch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mpo_snn.adaptation import adapt

Array = NDArray[np.float64]
INPUTS, HIDDEN, OUTPUTS = 5, 8, 3


def in_float64(u: Tensor) -> Tensor:
    """In place of snnTorch's surrogate, whose spikes are always float32."""
    return (u > 0).to(u.dtype)


class MembraneNetwork(nn.Module):
    """Two layers; the second one's membrane comes first, as in most of snnTorch's tutorials."""

    input_shape = (INPUTS,)

    def __init__(self, synaptic: bool = False, seed: int = 0, **last: Any) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.synaptic = synaptic
        given = {"beta": 0.9, "threshold": 0.4, "spike_grad": in_float64, **last}
        self.fc1, self.fc2 = nn.Linear(INPUTS, HIDDEN), nn.Linear(HIDDEN, OUTPUTS)
        self.lif1 = snntorch.Leaky(
            0.7, 0.3, reset_mechanism="zero", reset_delay=False, spike_grad=in_float64
        )
        self.lif2 = (
            snntorch.Synaptic(given.pop("alpha", 0.5), **given)
            if synaptic
            else snntorch.Leaky(**given)
        )
        self.double().eval()

    def forward(self, x: Tensor, mem1: Any = None, syn: Any = None, mem2: Any = None) -> Any:
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        current = self.fc2(spk1)
        if self.synaptic:
            spk2, syn, mem2 = self.lif2(current, syn, mem2)
            return mem2, spk2, mem1, syn
        spk2, mem2 = self.lif2(current, mem2)
        return mem2, spk2, mem1


def adapted(network: nn.Module) -> nn.Module:
    """With MPO neurons; the warning that snnTorch guards its resets is a matter of other tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return adapt(network)


def loop(network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """The user's own loop: membranes and spikes of the last layer, (time, batch, 3)."""
    mem1 = syn = mem2 = x.new_zeros(0)
    membranes, spikes = [], []
    for step in x:
        mem2, spk2, mem1, *syns = network(step, mem1, syn, mem2)
        syn = syns[0] if syns else syn
        membranes.append(mem2)
        spikes.append(spk2)
    return torch.stack(membranes), torch.stack(spikes)


def slow_layer(
    current: Array,
    beta: float,
    threshold: float,
    reset: str,
    late: bool,
    alpha: float = 0.0,
    gain: str = "unit",
) -> tuple[Array, Array]:
    """Spikes and returned membranes of a layer, (time, batch, n), neuron by neuron; no torch."""
    spikes, membranes = np.zeros(current.shape), np.zeros(current.shape)
    for index in np.ndindex(*current.shape[1:]):
        i = u = spk = 0.0
        for t in range(current.shape[0]):
            i = alpha * i + current[(t, *index)] * (1 - alpha if gain == "decay" else 1.0)
            v = beta * u + i * (1 - beta if gain == "decay" else 1.0)
            if late and reset == "subtract":
                v -= spk * threshold
            spk = float(v > threshold)
            u = v
            if not late and spk:
                u = {"zero": 0.0, "subtract": v - threshold, "none": v}[reset]
            spikes[(t, *index)], membranes[(t, *index)] = spk, u
    return spikes, membranes
