"""Files that snnTorch's own exporter writes, imported and run against the snnTorch network."""

from __future__ import annotations

from pathlib import Path

import nir
import pytest
import snntorch
import torch
from snntorch.export_nir import export_to_nir
from torch import nn

import mpo_snn

T = 40


def spread(low: float, high: float, size: int, seed: int) -> torch.Tensor:
    return torch.empty(size).uniform_(low, high, generator=torch.Generator().manual_seed(seed))


def leaky(size: int, seed: int) -> snntorch.Leaky:
    return snntorch.Leaky(
        beta=spread(0.3, 0.95, size, seed),
        threshold=spread(0.4, 1.2, size, seed + 1),
        reset_mechanism="zero",
        reset_delay=False,
        init_hidden=True,
    )


def synaptic(size: int, seed: int) -> snntorch.Synaptic:
    return snntorch.Synaptic(
        alpha=spread(0.2, 0.8, size, seed),
        beta=spread(0.3, 0.9, size, seed + 1),
        threshold=spread(0.4, 1.2, size, seed + 2),
        reset_mechanism="zero",
        reset_delay=False,
        init_hidden=True,
    )


@pytest.mark.filterwarnings("ignore")  # snnTorch's and nirtorch's own
def test_the_same_spikes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(12, 30), leaky(30, 1), nn.Linear(30, 20, bias=False), synaptic(20, 2)
    )
    nir.write(tmp_path / "a.nir", export_to_nir(network, torch.zeros(12)))
    for module in network:
        if isinstance(module, snntorch.SpikingNeuron):
            module.reset_mem()
    x = torch.rand(T, 16, 12, generator=torch.Generator().manual_seed(1)) * 2 - 0.5
    with torch.no_grad():
        expected = torch.stack([network(step) for step in x])
        imported = mpo_snn.from_nir(tmp_path / "a.nir", dt=1e-4)
        found = mpo_snn.Unrolled(imported.eval(), T)(x)
    assert 0.05 < expected.mean() < 0.6
    assert (expected == found).float().mean() > 0.999  # time constants are stored in float32
    kinds = [type(layer).__name__ for layer in imported.children()]
    assert sorted(kinds) == ["Linear", "Linear", "MPOLeaky", "MPOSynaptic"]
