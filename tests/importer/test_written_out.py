"""Kernels that were written out with zeros come back as the layers they were."""

from __future__ import annotations

import nir
import pytest
import torch
from torch import nn

from mpo_snn import MPOLeaky, Unrolled, from_nir
from mpo_snn.export.nir_export import export_nir

GROUPED = [
    nn.Conv2d(4, 6, 3, padding=1, groups=2),
    nn.Conv2d(4, 4, 5, padding=2, groups=4),
    nn.Conv2d(4, 3, (5, 3), padding=(2, 1)),
    nn.Conv2d(4, 4, (1, 3), stride=2, padding=(0, 1), groups=2),
]


@pytest.mark.parametrize("layer", GROUPED, ids=repr)
def test_kernels_that_export_wrote_out_come_back_as_they_were(layer, tmp_path) -> None:
    """Not the dense, square ones of the file, whose zeros a further training would fill."""
    network = nn.Sequential(layer, MPOLeaky(beta=0.5)).double()
    path = tmp_path / "model.nir"
    nir.write(path, export_nir(network, (4, 6, 6), 1e-4).graph)
    stored = next(n for n in nir.read(path).nodes.values() if hasattr(n, "weight"))
    assert stored.weight.shape[1] == 4 and stored.weight.size > layer.weight.numel()
    again = from_nir(path, dt=1e-4, dtype=torch.float64)
    (found,) = (m for m in again.modules() if isinstance(m, nn.Conv2d))
    for name in ("groups", "kernel_size", "stride", "padding"):
        assert getattr(found, name) == getattr(layer, name)
    torch.testing.assert_close(found.weight, network[0].weight, rtol=1e-12, atol=0)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 2, 4, 6, 6, dtype=torch.float64, generator=generator)
    assert torch.equal(Unrolled(again, 5)(x), Unrolled(network, 5)(x))


def test_a_kernel_whose_zeros_were_filled_stays_as_stored(tmp_path) -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), MPOLeaky(beta=0.5))
    graph = export_nir(network, (4, 6, 6), 1e-4).graph
    (name,) = (name for name, node in graph.nodes.items() if hasattr(node, "weight"))
    graph.nodes[name].weight[0, 3] = 1.0
    (found,) = (m for m in from_nir(graph, dt=1e-4).modules() if isinstance(m, nn.Conv2d))
    assert (found.groups, found.weight.shape) == (1, (4, 4, 3, 3))
