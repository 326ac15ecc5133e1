"""`adapt` turns snnTorch networks into ours without changing a spike."""

from __future__ import annotations

import copy
import warnings
from contextlib import nullcontext
from typing import Any

import pytest
import snntorch
import torch
from torch import Tensor, nn

from mpo_snn.adaptation import adapt
from mpo_snn.errors import MpoError
from mpo_snn.leaky import MPOLeaky
from mpo_snn.mpo import MPO
from mpo_snn.neurons import reset_hidden
from mpo_snn.synaptic import MPOSynaptic

RESETS = [(reset, delay) for reset in ("subtract", "zero", "none") for delay in (True, False)]


class Recurrence(nn.Module):
    """As snnTorch's tutorials write it: the loop over time is inside forward."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.bound = float("inf")
        self.fc1 = nn.Linear(5, 7)
        self.lif1 = snntorch.Leaky(0.9, threshold=0.4, **kwargs)
        self.fc2 = nn.Linear(7, 3)
        self.lif2 = snntorch.Leaky(torch.tensor([0.5, 0.7, 0.9]), threshold=0.3, **kwargs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        steps = []
        for step in x:
            spk1, mem1 = self.lif1(self.fc1(step).clamp(max=self.bound), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1).clamp(max=self.bound), mem2)
            steps.append((spk2, mem2))
        spikes, membranes = zip(*steps, strict=True)
        return torch.stack(spikes), torch.stack(membranes)


def inputs(steps: int = 8) -> Tensor:
    return torch.randn(steps, 4, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("reset", "delay"), RESETS)
def test_spikes_and_membranes_are_unchanged(reset: str, delay: bool) -> None:
    network = Recurrence(reset_mechanism=reset, reset_delay=delay)
    inexact = (reset, delay) == ("subtract", False)
    if inexact:
        network.bound = 0.3  # keeps v <= 2 threshold, where snnTorch follows the equation
    expected_spk, expected_mem = network(inputs())
    with pytest.warns(UserWarning, match="lif1, lif2 subtract") if inexact else nullcontext():
        assert adapt(network) is network
    assert isinstance(network.lif1, MPOLeaky) and isinstance(network.lif2, MPOLeaky)
    spk, mem = network(inputs())
    assert 0 < expected_spk.sum() < expected_spk.numel()
    assert torch.equal(spk, expected_spk)
    torch.testing.assert_close(mem, expected_mem)


class SynapticRecurrence(nn.Module):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc = nn.Linear(5, 3)
        alpha, beta = torch.tensor([0.2, 0.5, 0.9]), torch.tensor([0.5, 0.7, 0.9])
        self.lif = snntorch.Synaptic(alpha, beta, threshold=0.6, **kwargs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        syn, mem = self.lif.reset_mem()
        steps = []
        for step in x:
            spk, syn, mem = self.lif(self.fc(step), syn, mem)
            steps.append((spk, mem))
        spikes, membranes = zip(*steps, strict=True)
        return torch.stack(spikes), torch.stack(membranes)


@pytest.mark.parametrize("learn", (False, True))
@pytest.mark.parametrize(
    ("reset", "delay"), [("subtract", True), ("zero", False), ("none", True), ("none", False)]
)
def test_synaptic_neurons_keep_spikes_and_membranes(reset: str, delay: bool, learn: bool) -> None:
    kwargs = {"learn_alpha": learn, "learn_beta": learn, "learn_threshold": learn}
    network = SynapticRecurrence(reset_mechanism=reset, reset_delay=delay, **kwargs)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    expected_spk, expected_mem = network(inputs())
    neuron = adapt(network).lif
    assert isinstance(neuron, MPOSynaptic)
    assert (neuron.reset_kind, neuron.reset_timing) == (reset, "next" if delay else "step")
    spk, mem = network(inputs())
    assert 0 < expected_spk.sum() < expected_spk.numel()
    assert torch.equal(spk, expected_spk)
    torch.testing.assert_close(mem, expected_mem)
    after = dict(network.named_parameters())
    assert set(after) == set(before)
    assert all(torch.equal(after[name].detach(), before[name]) for name in before)


@pytest.mark.parametrize(("reset", "delay"), RESETS)
def test_reset_keeps_its_name(reset: str, delay: bool) -> None:
    network = nn.Sequential(snntorch.Leaky(0.9, reset_mechanism=reset, reset_delay=delay))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*subtract within the step")
        neuron = adapt(network)[0]
    assert isinstance(neuron, MPOLeaky)
    assert (neuron.reset_kind, neuron.reset_timing) == (reset, "next" if delay else "step")
    assert neuron.input_gain == "unit"


def test_learnable_parameters_are_kept_as_parameters_with_their_values() -> None:
    network = Recurrence(learn_beta=True, learn_threshold=True)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    after = dict(adapt(network).named_parameters())
    assert set(after) == set(before)
    assert all(torch.equal(after[name].detach(), before[name]) for name in before)
    spk, _ = network(inputs())
    spk.sum().backward()
    assert network.lif1.beta.grad is not None and network.lif2.threshold.grad is not None


def test_fixed_parameters_stay_buffers() -> None:
    network = adapt(Recurrence())
    assert not any("lif" in name for name, _ in network.named_parameters())


def test_beta_outside_0_to_1_is_used_as_snntorch_uses_it() -> None:
    network = nn.Sequential(snntorch.Leaky(1.4, threshold=2.0))
    x = torch.full((1, 2), 0.75)
    expected = [mem for _, mem in _steps(network[0], x)]
    found = [mem for _, mem in _steps(adapt(network)[0], x)]
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def _steps(neuron: nn.Module, x: Tensor) -> list[tuple[Tensor, Tensor]]:
    mem, steps = torch.zeros_like(x), []
    for _ in range(4):
        spk, mem = neuron(x, mem)
        steps.append((spk, mem))
    return steps


def test_whole_numbers_as_values_are_taken() -> None:
    network = adapt(nn.Sequential(snntorch.Leaky(beta=1, threshold=1)))
    spk, _ = network[0](torch.full((1, 2), 1.5), torch.zeros(1, 2))
    assert spk.tolist() == [[1.0, 1.0]]


def test_hidden_neurons_are_adapted_with_a_word_on_how_to_reset_them() -> None:
    network = nn.Sequential(nn.Linear(5, 3), snntorch.Leaky(0.9, threshold=0.3, init_hidden=True))
    expected = torch.stack([network(step) for step in inputs()])
    with pytest.warns(UserWarning, match=r"mpo_snn\.reset_hidden"):
        adapt(network)
    for _ in range(2):
        assert torch.equal(torch.stack([network(step) for step in inputs()]), expected)
        reset_hidden(network)


def test_without_hidden_neurons_there_is_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adapt(Recurrence())


def test_a_neuron_under_two_names_stays_one_neuron() -> None:
    network = Recurrence()
    network.also = nn.Sequential(network.lif1)
    adapt(network)
    assert isinstance(network.lif1, MPOLeaky) and network.also[0] is network.lif1


def test_training_mode_and_mpo_neurons_are_kept() -> None:
    own = MPOLeaky(0.9)
    network = adapt(nn.Sequential(own, snntorch.Leaky(0.9)).eval())
    assert network[0] is own and not network[1].training


def test_the_adapted_network_takes_mpo() -> None:
    network = adapt(Recurrence())
    mpo = MPO(network)
    spk, _ = network(inputs())
    (spk.mean() + mpo.regularizer()).backward()
    mpo.step()
    assert set(mpo.statistics()) == {"lif1", "lif2"}


def test_everything_without_an_equal_is_refused_by_name_and_nothing_replaced() -> None:
    class Own(snntorch.Leaky):  # type: ignore[misc]
        pass

    with pytest.warns(UserWarning, match="Inhibition"):
        inhibited = snntorch.Leaky(0.9, inhibition=True)
    network = nn.ModuleDict(
        {
            "good": snntorch.Leaky(0.9),
            "synaptic": snntorch.Synaptic(0.9, 0.8, reset_mechanism="zero"),
            "recurrent": snntorch.RLeaky(0.9, linear_features=3),
            "own": Own(0.9),
            "inhibited": inhibited,
            "quantised": snntorch.Leaky(0.9, state_quant=lambda x: x),
            "graded": snntorch.Leaky(0.9, graded_spikes_factor=2.0),
            "unfired": snntorch.Leaky(0.9, threshold=0.0),
        }
    )
    before = copy.copy(dict(network.items()))
    with pytest.raises(MpoError) as told:
        adapt(network)
    findings = {text.split("'")[1]: text for text in told.value.findings}
    assert set(findings) == set(before) - {"good"}
    assert "loses the current" in findings["synaptic"]
    assert "reset_delay=False" in findings["synaptic"]
    assert "is a RLeaky" in findings["recurrent"] and "is a Own" in findings["own"]
    assert "inhibition" in findings["inhibited"] and "state_quant" in findings["quantised"]
    assert "graded_spikes_factor" in findings["graded"] and "threshold" in findings["unfired"]
    assert all(network[name] is before[name] for name in before)


def test_a_bare_neuron_is_refused() -> None:
    with pytest.raises(MpoError, match="pass the network that contains it"):
        adapt(snntorch.Leaky(0.9))
