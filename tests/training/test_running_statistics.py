"""Batchnorm's running statistics at the start of a run, against plain means."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mpo_snn.training.fit import fit
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.running_statistics import RunningStatistics


def test_the_first_steps_are_averaged_plainly_and_later_ones_as_torch_does() -> None:
    layer, plain = nn.BatchNorm1d(3, momentum=0.25), nn.BatchNorm1d(3, momentum=None)
    network = nn.Sequential(layer, plain)
    statistics = RunningStatistics(network)
    batches = torch.randn(9, 16, 3, generator=torch.Generator().manual_seed(0)) + 2.0
    means = []
    for step, batch in enumerate(batches):
        statistics.before_step(step)
        layer(batch)
        means.append(layer.running_mean.clone())  # type: ignore[union-attr]
    assert plain.momentum is None
    for step in range(4):
        torch.testing.assert_close(means[step], batches[: step + 1].mean((0, 1)))
    expected = 0.75 * means[7] + 0.25 * batches[8].mean(0)
    torch.testing.assert_close(means[8], expected)


@pytest.mark.parametrize("batchnorm", ["folded", "per_step"])
def test_a_trained_network_has_forgotten_how_they_started(
    tiny: Recipe, batchnorm: str, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run starts them at 50 in place of 0 and 1; the weights are the same anyway."""
    from dataclasses import replace

    recipe = replace(
        tiny, batchnorm=batchnorm, epochs=1, optimizer=replace(tiny.optimizer, warmup_epochs=0.0)
    )
    first = fit(recipe, tmp_path / "a", device="cpu").load_network().state_dict()
    reset = nn.modules.batchnorm._NormBase.reset_running_stats

    def far_off(self: nn.modules.batchnorm._NormBase) -> None:
        reset(self)
        self.running_mean.fill_(50.0)  # type: ignore[union-attr, operator]
        self.running_var.fill_(50.0)  # type: ignore[union-attr, operator]

    monkeypatch.setattr(nn.modules.batchnorm._NormBase, "reset_running_stats", far_off)
    second = fit(recipe, tmp_path / "b", device="cpu").load_network().state_dict()
    assert any("running_mean" in name for name in first)
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=1e-5, atol=1e-5)
