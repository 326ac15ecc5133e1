"""An untrained network whose learnt values and biases are moved, and nothing else."""

from __future__ import annotations

import torch
from torch import nn

from mpo_snn.cli.learnt_values import spread_learnt_values
from mpo_snn.leaky import MPOLeaky


def test_what_training_moves_is_moved_and_the_rest_stays() -> None:
    learnt = MPOLeaky(0.5, 1.0, learn_beta=True)
    per_channel = MPOLeaky(torch.full((3,), 0.5), 1.0, learn_beta=True)
    fixed = MPOLeaky(0.5, 1.0)
    dense, norm = nn.Linear(2, 3), nn.BatchNorm1d(3)
    before = dense.weight.clone(), dense.bias.clone()
    spread_learnt_values(nn.Sequential(dense, norm, learnt, per_channel, fixed))
    assert learnt.beta.item() not in (0.5, 1.0)
    assert len(set(per_channel.beta.tolist())) == 3
    assert fixed.beta.item() == 0.5
    assert learnt.threshold.item() == fixed.threshold.item() == 1.0
    assert torch.equal(dense.weight, before[0])
    assert bool((dense.bias != before[1]).all())
    assert bool((norm.bias != 0).all())
