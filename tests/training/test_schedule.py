from __future__ import annotations

import pytest
import torch
from torch import nn

from mpo_snn.leaky import MPOLeaky
from mpo_snn.training.recipe import OptimizerSettings
from mpo_snn.training.schedule import build_optimizer, build_schedule, learning_rate_factor


def test_warm_up_rises_linearly_and_cosine_falls_to_zero() -> None:
    factors = [learning_rate_factor(step, 12, 4, "cosine") for step in range(13)]
    assert factors[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    # (1 + cos(pi t)) / 2 at t = 0, 1/4, 1/2, 3/4, 1
    assert factors[4::2] == pytest.approx([1.0, 0.853553, 0.5, 0.146447, 0.0], abs=1e-6)
    assert learning_rate_factor(11, 12, 0, "cosine") > 0


def test_constant_stays() -> None:
    assert [learning_rate_factor(step, 3, 0, "constant") for step in range(3)] == [1.0] * 3


@pytest.mark.parametrize(("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD")])
def test_optimizer_and_schedule_of_the_settings(name: str, kind: str) -> None:
    settings = OptimizerSettings(
        name=name,  # type: ignore[arg-type]
        lr=0.5,
        momentum=0.8,
        weight_decay=0.1,
        warmup_epochs=1,
    )
    network = nn.Sequential(
        nn.Linear(3, 2), MPOLeaky(0.5, learn_beta=True, learn_threshold=True, init_hidden=True)
    )
    optimizer = build_optimizer(network, settings)
    assert type(optimizer).__name__ == kind
    assert optimizer.defaults.get("momentum", 0.8) == 0.8
    decayed = {
        tuple(p.shape): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]
    }
    assert decayed == {(2, 3): 0.1, (2,): 0.0, (): 0.0}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 4

    schedule = build_schedule(optimizer, settings, epochs=3, steps_per_epoch=2)
    rates = []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        sum(p.sum() for p in network.parameters()).backward()  # type: ignore[union-attr]
        optimizer.step()
        schedule.step()
    expected = [0.25, 0.5, 0.5, 0.5 * 0.853553, 0.25, 0.5 * 0.146447]
    assert rates == pytest.approx(expected, abs=1e-6)
    assert torch.isfinite(network[0].weight).all()
