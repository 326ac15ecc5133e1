"""`Unrolled` gives the membrane that single steps return, with its gradient, and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mpo_snn.mpo import MPO
from mpo_snn.neurons import neurons_of
from mpo_snn.settings import MPOSettings
from mpo_snn.unroll import Unrolled
from tests.membrane_networks import INPUTS, MembraneNetwork, adapted, loop

T, B = 12, 6
RESETS = [("none", True), ("none", False), ("subtract", True), ("subtract", False), ("zero", False)]


def drive(seed: int = 1) -> Tensor:
    return torch.randn(T, B, INPUTS, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("synaptic", (False, True))
@pytest.mark.parametrize(("reset", "late"), RESETS)
def test_it_is_snntorchs_own_loop(reset: str, late: bool, synaptic: bool) -> None:
    threshold = 1.2 if synaptic else 0.7
    network = MembraneNetwork(
        synaptic, reset_mechanism=reset, reset_delay=late, threshold=threshold
    )
    x = 2.0 * drive()
    expected, spikes = loop(network, x)
    if reset == "subtract" and not late:
        v = expected + spikes * threshold
        assert float(v.detach().max()) < 2 * threshold, "above, snnTorch gives part of a reset back"
    assert 0.02 < float(spikes.detach().mean()) < 0.9
    found = Unrolled(adapted(network), T).eval()(x)
    assert float((found - expected).detach().abs().max()) <= 1e-9 * threshold


@pytest.mark.parametrize("reset", ("none", "subtract", "zero"))
@pytest.mark.parametrize("output", (True, False))
def test_a_neuron_that_keeps_its_state_gives_it_too(reset: Any, output: bool) -> None:
    from mpo_snn.leaky import MPOLeaky

    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif = nn.Linear(5, 3), MPOLeaky(0.8, 0.2, reset=reset, output=output)
            self.lif.init_hidden = output

        def forward(self, x: Tensor) -> Any:
            spk, mem = self.lif(self.fc(x))
            return mem, spk

    torch.manual_seed(0)
    network = Keeps().double()
    x = drive()
    network.lif.reset_mem()
    expected = torch.stack([network(step)[0] for step in x])
    assert torch.allclose(Unrolled(network, T)(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("reset", "late"), RESETS)
def test_its_gradient_is_that_of_the_loop(reset: str, late: bool) -> None:
    network = adapted(MembraneNetwork(reset_mechanism=reset, reset_delay=late)).train()
    x, weight = drive(), torch.randn(T, B, 3, generator=torch.Generator().manual_seed(2)).double()
    grads = []
    for run in (lambda: loop(network, x)[0], lambda: Unrolled(network, T)(x)):
        network.zero_grad()
        (run() * weight).sum().backward()
        grads.append([p.grad.clone() for p in network.parameters()])
    for expected, found in zip(*grads, strict=True):
        torch.testing.assert_close(found, expected)
    assert all(float(grad.abs().max()) > 0 for grad in grads[0])


@pytest.mark.parametrize(("reset", "late"), [r for r in RESETS if r[0] != "zero"])
def test_the_surrogate_of_what_is_read_out_plays_no_part(reset: str, late: bool) -> None:
    network = adapted(MembraneNetwork(reset_mechanism=reset, reset_delay=late)).train()
    x, grads = drive(), []
    for width, height in ((0.5, 1.0), (1e-6, 2.0), (1e6, 0.5)):
        network.lif2.width.fill_(width)
        network.lif2.height.fill_(height)
        network.zero_grad()
        Unrolled(network, T)(x).square().sum().backward()
        grads.append([p.grad.clone() for p in network.parameters()])
    assert float(grads[0][0].abs().max()) > 0
    for other in grads[1:]:
        assert all(torch.equal(a, b) for a, b in zip(grads[0], other, strict=True))


@pytest.mark.parametrize("reset", ("none", "subtract"))
def test_mpo_moves_the_other_layers_as_if_it_were_not_there(reset: str) -> None:
    """Three steps of training: with MPO on every neuron, and on a network that hides the last."""

    class Hidden(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.lif1 = network.lif1

    found = []
    for hides in (False, True):
        network = adapted(MembraneNetwork(reset_mechanism=reset, reset_delay=True)).train()
        mpo = MPO(Hidden(network) if hides else network, MPOSettings(neuron_gain=True))
        optimiser = torch.optim.SGD(network.parameters(), 0.05)
        for step in range(3):
            loss = Unrolled(network, T)(drive(step)).square().mean() + mpo.regularizer()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            mpo.step(progress=step / 3)
        found.append([*network.parameters(), network.lif1.width, network.lif1.gain])
        assert set(mpo.statistics()) == ({"lif1"} if hides else {"lif1", "lif2"})
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_what_still_spikes() -> None:
    for reset, expected in (("none", ["lif1"]), ("subtract", ["lif1", "lif2"])):
        unrolled = Unrolled(adapted(MembraneNetwork(reset_mechanism=reset)), T)
        assert list(unrolled.spiking) == expected
        assert list(unrolled.neurons) == list(neurons_of(unrolled.network)) == ["lif1", "lif2"]
        assert list(copy.deepcopy(unrolled).spiking) == expected


def test_observers_see_the_membrane_before_reset() -> None:
    network = adapted(MembraneNetwork(reset_mechanism="subtract", reset_delay=False))
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    found = Unrolled(network, T)(drive(), lambda name, spk, v: seen.update({name: (spk, v)}))
    spk, v = seen["lif2"]
    assert 0 < spk.sum() < spk.numel()
    assert torch.equal(spk.bool(), v > 0.4)
    torch.testing.assert_close(found, v - 0.4 * spk)
