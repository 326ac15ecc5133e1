"""Tracing leaves a module as it was, whether it succeeds or not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mpo_snn.errors import UnrollError
from mpo_snn.leaky import MPOLeaky
from mpo_snn.trace import trace_timestep
from mpo_snn.untouched import untouched


class Meddles(nn.Module):
    """Its forward changes whatever a forward can reach."""

    def __init__(self, raises: bool) -> None:
        super().__init__()
        self.fc, self.lif, self.raises = nn.Linear(4, 3), MPOLeaky(0.9), raises
        self.register_buffer("steps", torch.zeros(2))
        self.mem: Any = torch.ones(1, 3)
        self.seen: list[Any] = ["before"]
        self.table: dict[str, Any] = {"a": 1}
        self.names = {"x"}

    def forward(self, x: Tensor) -> Any:
        self.steps += 1.0
        self.fc.note = "new"
        self.lif.mem = torch.full((1, 3), 7.0)
        self.seen.append(x)
        self.table.clear()
        self.names.add("y")
        self.another = nn.Linear(2, 2)
        spk, self.mem = self.lif(self.fc(x), self.mem)
        if self.raises:
            raise ValueError("on purpose")
        return spk


def everything(module: nn.Module) -> dict[str, Any]:
    """All that a module holds, by name: identities, and copies of what can change within."""
    found: dict[str, Any] = {}
    for name, part in module.named_modules():
        for key, value in {**part.__dict__, **part._buffers, **part._modules}.items():
            inner = value.copy() if isinstance(value, dict | list | set) else None
            values = value.tolist() if isinstance(value, Tensor) else None
            found[f"{name}.{key}"] = (id(value), inner, values)
    return found


@pytest.mark.parametrize("raises", (True, False))
def test_a_trace_changes_nothing(raises: bool) -> None:
    network = Meddles(raises)
    before = everything(network)
    with pytest.raises(UnrollError, match="on purpose" if raises else "self.mem"):
        trace_timestep(network)
    assert everything(network) == before
    assert not any(name.startswith("_tensor_constant") for name in vars(network))


def test_a_network_that_was_refused_still_runs() -> None:
    network, twin, x = Meddles(False), Meddles(False), torch.rand(2, 4)
    twin.load_state_dict(network.state_dict())
    with pytest.raises(UnrollError):
        trace_timestep(network)
    assert torch.equal(network(x), twin(x))


def test_what_was_assigned_is_told_by_name() -> None:
    network = Meddles(False)
    with untouched(network) as assigned:
        network(torch.rand(2, 4))
    assert assigned.values.keys() == {"fc.note", "lif.mem", "mem"}
    assert assigned.values["fc.note"] == "new"
