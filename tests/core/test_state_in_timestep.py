"""A timestep that makes its state, loops or returns no output: one line names the thing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import snntorch
import torch
from torch import Tensor, nn

from mpo_snn.adaptation import adapt
from mpo_snn.errors import UnrollError
from mpo_snn.export.nir_export import export_nir
from mpo_snn.leaky import MPOLeaky
from mpo_snn.unroll import Unrolled


class Network(nn.Module):
    """In snnTorch's style: `step(network, x)` is its forward."""

    def __init__(self, step: Callable[..., Any], adapted: bool = True) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(4, 3), snntorch.Leaky(0.9)
        self.fc2, self.lif2 = nn.Linear(3, 2), snntorch.Leaky(0.9)
        self.mem: Any = None
        self.softmax = nn.Softmax(1)
        self.step = step
        if adapted:
            adapt(self)

    def forward(self, x: Tensor) -> Any:
        return self.step(self, x)


def findings(network: nn.Module) -> tuple[str, ...]:
    """What both doors say of it, which is the same."""
    told = []
    for open_door in (lambda: Unrolled(network, 3), lambda: export_nir(network, (4,))):
        with pytest.raises(UnrollError) as refused:
            open_door()
        told.append(refused.value.findings)
    assert told[0] == told[1]
    return told[0]


def from_init_leaky(net: Any, x: Tensor) -> Any:
    mem = net.lif.init_leaky()
    spk, mem = net.lif(net.fc(x.flatten(1)), mem)
    return spk, mem


def from_zeros(net: Any, x: Tensor) -> Any:
    spk, mem = net.lif(net.fc(x), torch.zeros(1, 3))
    return spk, mem


def from_zeros_like(net: Any, x: Tensor) -> Any:
    current = net.fc(x)
    spk, mem = net.lif(current, torch.zeros_like(current))
    return spk, mem


@pytest.mark.parametrize("step", (from_init_leaky, from_zeros, from_zeros_like))
def test_a_state_that_the_timestep_makes(step: Any) -> None:
    (told,) = findings(Network(step))
    assert "the state of neuron 'lif'" in told and "is computed in the timestep" in told
    assert "forward(self, x, mem=None)" in told and "init_hidden=True" in told
    assert "test_state_in_timestep.py:" in told


@pytest.mark.parametrize("start", (None, torch.zeros(1, 3)))
def test_a_state_that_is_kept_in_an_attribute(start: Tensor | None) -> None:
    def step(net: Any, x: Tensor) -> Any:
        spk, net.mem = net.lif(net.fc(x), net.mem)
        return spk

    network = Network(step)
    network.mem = start
    (told,) = findings(network)
    assert told.startswith("forward assigns self.mem,")
    assert "forward(self, x, mem=None)" in told and "init_hidden=True" in told
    assert network.mem is start
    network(torch.rand(2, 4))


def loops(net: Any, x: Tensor) -> Any:
    mem, mem2, spikes, membranes = net.lif.init_leaky(), net.lif2.init_leaky(), [], []
    for _ in range(5):
        spk, mem = net.lif(net.fc(x), mem)
        spk2, mem2 = net.lif2(net.fc2(spk), mem2)
        spikes.append(spk2)
        membranes.append(mem2)
    return torch.stack(spikes), torch.stack(membranes)


@pytest.mark.parametrize("adapted", (True, False))
def test_a_loop_over_time_is_one_finding(adapted: bool) -> None:
    (told,) = findings(Network(loops, adapted))
    assert "'lif' 5 times" in told and "'lif2' 5 times" in told and "a loop over time" in told
    assert "Write forward(x) for ONE timestep" in told
    assert ("mpo_snn.adapt(network)" in told) != adapted


def test_neurons_that_are_not_adapted_are_one_finding() -> None:
    def step(net: Any, x: Tensor) -> Any:
        spk, _ = net.lif(net.fc(x), net.lif.init_leaky())
        spk, mem = net.lif2(net.fc2(spk), net.lif2.init_leaky())
        return spk, mem

    (told,) = findings(Network(step, adapted=False))
    assert told.startswith("neurons 'lif', 'lif2' are snntorch's Leaky")
    assert "mpo_snn.adapt(network)" in told


def test_beside_either_layers_are_told() -> None:
    def step(net: Any, x: Tensor) -> Any:
        return net.softmax(net.lif(net.fc(x))[0])

    told = findings(Network(step, adapted=False))
    assert len(told) == 2 and "'softmax' (Softmax)" in told[1]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (lambda spk, mem, x: {"spk": spk, "mem": mem}, r"is a dict ('spk', 'mem'), expected"),
        (lambda spk, mem, x: None, "is None, expected"),
        (lambda spk, mem, x: (), "of the type tuple, expected"),
        (lambda spk, mem, x: 1.0, "of the type float, expected"),
    ],
)
def test_what_is_no_output_is_named(result: Any, expected: str) -> None:
    def step(net: Any, x: Tensor) -> Any:
        spk, mem = net.lif(net.fc(x))
        return result(spk, mem, x)

    (told,) = findings(Network(step))
    assert told.startswith("the first thing that forward returns is") and expected in told


def test_a_state_as_it_came_is_no_output() -> None:
    class Passes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lif = MPOLeaky(0.9)

        def forward(self, x: Tensor, mem: Any = None) -> Any:
            spk, _ = self.lif(x, mem)
            return mem, spk

    (told,) = findings(Passes())
    assert "is the argument 'mem' as it came" in told
