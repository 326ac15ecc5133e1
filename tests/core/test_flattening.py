"""A reshape that keeps the batch and takes all the rest is a flattening, in training and export."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mpo_snn.errors import UnrollError
from mpo_snn.export.nir_export import export_nir
from mpo_snn.leaky import MPOLeaky
from mpo_snn.trace import trace_timestep
from mpo_snn.unroll import Unrolled

FLATTENINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "view, size(0)": lambda x: x.view(x.size(0), -1),
    "view, size(dim=0)": lambda x: x.view(x.size(dim=0), -1),
    "view, size()[0]": lambda x: x.view(x.size()[0], -1),
    "view, shape[0]": lambda x: x.view(x.shape[0], -1),
    "view, a tuple": lambda x: x.view((x.size(0), -1)),
    "reshape": lambda x: x.reshape(x.shape[0], -1),
    "torch.reshape": lambda x: torch.reshape(x, (x.size(0), -1)),
    "torch.reshape, shape=": lambda x: torch.reshape(x, shape=(x.shape[0], -1)),
}


class Network(nn.Module):
    def __init__(self, flatten: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.lif1 = nn.Conv2d(1, 2, 3), MPOLeaky(0.8, 0.05, init_hidden=True)
        self.fc, self.lif2 = nn.Linear(32, 5), MPOLeaky(0.8, 0.02, init_hidden=True)
        self.flatten = flatten

    def forward(self, x: Tensor) -> Any:
        return self.lif2(self.fc(self.flatten(self.lif1(self.conv(x)))))


@pytest.mark.parametrize("name", FLATTENINGS)
def test_it_is_flatten(name: str) -> None:
    torch.manual_seed(0)
    network = Network(FLATTENINGS[name]).eval()
    functions = [n.target for n in trace_timestep(network).nodes if n.op.startswith("call_f")]
    assert functions == [torch.flatten]
    x = torch.rand(4, 3, 1, 6, 6)
    spikes = Unrolled(network, 4)(x)
    network.flatten = lambda x: x.flatten(1)
    expected = Unrolled(network, 4)(x)
    assert torch.equal(spikes, expected) and 0 < expected.sum() < expected.numel()
    network.flatten = FLATTENINGS[name]
    graph = export_nir(network, (1, 6, 6)).graph
    assert [type(node).__name__ for node in graph.nodes.values()].count("Flatten") == 1


@pytest.mark.parametrize(
    ("reshape", "told"),
    [
        (lambda x: x.view(-1, 32), r".view\(\)"),
        (lambda x: x.reshape(x.size(0), 32), r".size\(\), .reshape\(\)"),
        (lambda x: x.reshape(x.size(0), 2, -1), r".size\(\), .reshape\(\)"),
        (lambda x: x.reshape(x.size(1), -1), r".size\(\), .reshape\(\)"),
        (lambda x: x.reshape(x.shape[-1], -1), r".shape, indexing, .reshape\(\)"),
        (lambda x: x.reshape(-1, x.size(0)), r".size\(\), .reshape\(\)"),
        (lambda x: torch.reshape(x, (3, -1)), r"reshape\(\)"),
        (lambda x: (x * 2.0).view(x.size(0), -1), r".size\(\), .view\(\)"),
    ],
)
def test_other_reshapes_are_refused_with_the_way_out(reshape: Any, told: str) -> None:
    with pytest.raises(UnrollError, match=told + r".*for other reshapes write x.flatten\(1\)"):
        trace_timestep(Network(reshape))


def test_a_size_that_is_read_elsewhere_stays_and_is_told() -> None:
    def both(x: Tensor) -> Tensor:
        size = x.size(0)
        return x.view(size, -1) * size

    with pytest.raises(UnrollError, match=r"\.size\(\)"):
        trace_timestep(Network(both))
