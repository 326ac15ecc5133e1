"""Checkpoints across `adapt`: snnTorch's into an adapted network, and the other way."""

from __future__ import annotations

from typing import Any

import pytest
import snntorch
import torch
from torch import Tensor, nn

from mpo_snn.adaptation import adapt
from mpo_snn.mpo import MPO


class Loop(nn.Module):
    def __init__(self, seed: int, learn: bool) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.fc1, self.fc2 = nn.Linear(5, 7), nn.Linear(7, 3)
        beta, threshold = 0.6 + 0.1 * seed, 0.2 + 0.1 * seed
        learnt: dict[str, Any] = {"learn_beta": learn, "learn_threshold": learn}
        self.lif1 = snntorch.Leaky(beta, threshold=threshold, reset_mechanism="zero", **learnt)
        self.lif2 = snntorch.Synaptic(0.2 * seed, torch.full((3,), beta), threshold, **learnt)

    def forward(self, x: Tensor) -> Tensor:
        mem1, (syn2, mem2) = self.lif1.reset_mem(), self.lif2.reset_mem()
        steps = []
        for step in x:
            spk1, mem1 = self.lif1(self.fc1(step), mem1)
            spk2, syn2, mem2 = self.lif2(self.fc2(spk1), syn2, mem2)
            steps.append(spk2)
        return torch.stack(steps)


def inputs() -> Tensor:
    return torch.randn(8, 6, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("learn", [False, True])
def test_a_checkpoint_of_snntorch_loads_into_an_adapted_network(learn: bool) -> None:
    trained, fresh = Loop(1, learn), adapt(Loop(2, learn), width=0.3)
    expected = trained(inputs())
    assert 0 < expected.sum() < expected.numel()
    assert not torch.equal(fresh(inputs()), expected)
    result = fresh.load_state_dict(trained.state_dict())
    assert result.missing_keys == [] and result.unexpected_keys == []
    assert torch.equal(fresh(inputs()), expected)
    assert float(fresh.lif1.width) == pytest.approx(0.3) and float(fresh.lif1.height) == 1.0


@pytest.mark.parametrize("learn", [False, True])
def test_the_way_back_to_plain_snntorch(learn: bool) -> None:
    adapted, plain = adapt(Loop(1, learn)), Loop(2, learn)
    mpo = MPO(adapted)
    adapted(inputs()).sum().backward()
    mpo.step()
    trained = adapted.state_dict()
    plain.load_state_dict({name: trained[name] for name in plain.state_dict()})
    adapted.eval()
    assert torch.equal(plain(inputs()), adapted(inputs()))


def test_a_checkpoint_that_lacks_more_is_still_refused() -> None:
    fresh, whole = adapt(Loop(2, False)), adapt(Loop(1, False)).state_dict()
    half = {name: value for name, value in whole.items() if name != "lif1.height"}
    with pytest.raises(RuntimeError, match=r'Missing key.*"lif1\.height"'):
        fresh.load_state_dict(half)
    other = {name: value for name, value in whole.items() if not name.startswith("lif1.")}
    with pytest.raises(RuntimeError, match=r'Missing key.*"lif1\.width"'):
        fresh.load_state_dict(other)
