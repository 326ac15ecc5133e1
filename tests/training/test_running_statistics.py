"""Batchnorm's running statistics at the start of a run, against plain means."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from mpo_snn.training.fit import fit
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.rundir import WEIGHTS
from mpo_snn.training.running_statistics import RunningStatistics
from mpo_snn.unroll import Unrolled

from .conftest import interrupted_and_resumed


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


@pytest.mark.parametrize("constant", [False, True])
def test_timesteps_that_are_normalised_by_themselves_count_alike(constant: bool) -> None:
    """Two timesteps in the first steps, three in the last, as with `early_timesteps`."""
    layer = nn.BatchNorm1d(3, momentum=0.01)
    statistics, run = RunningStatistics(layer), Unrolled(nn.Sequential(layer), 2, "per_step")
    generator, means, variances = torch.Generator().manual_seed(0), [], []
    for timesteps in (2, 2, 3):
        run.timesteps = timesteps
        x = torch.randn(timesteps, 16, 3, generator=generator) + torch.arange(3.0)
        x = x[:1].expand_as(x) if constant else x * torch.arange(1.0, 1 + timesteps)[:, None, None]
        statistics.before_step(len(means))
        run(x)
        means += list(x.mean(1))
        variances += list(x.var(1))
    torch.testing.assert_close(layer.running_mean, torch.stack(means).mean(0))
    torch.testing.assert_close(layer.running_var, torch.stack(variances).mean(0))


def test_a_run_counts_the_timesteps_of_all_its_epochs(
    tiny: Recipe, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(tiny, batchnorm="per_step", epochs=2, timesteps=3)
    recipe = replace(recipe, early_timesteps=2, early_epochs=1)
    found = []
    before_step = RunningStatistics.before_step

    def noting(self: RunningStatistics, updates: int) -> None:
        found.append(updates)
        before_step(self, updates)

    monkeypatch.setattr(RunningStatistics, "before_step", noting)
    fit(recipe, tmp_path / "run", device="cpu")
    assert found == [0, 2, 4, 6, 9, 12]


def test_resumed_in_either_epoch_they_are_the_same(tiny: Recipe, tmp_path) -> None:
    recipe = replace(tiny, batchnorm="per_step", epochs=2, timesteps=3)
    recipe = replace(recipe, early_timesteps=2, early_epochs=1)
    whole = (fit(recipe, tmp_path / "whole", device="cpu").path / WEIGHTS).read_bytes()
    for step in (2, 4):
        resumed = interrupted_and_resumed(recipe, tmp_path / str(step), step)
        assert (resumed.path / WEIGHTS).read_bytes() == whole


def test_a_copy_counts_for_itself() -> None:
    network = nn.Sequential(nn.BatchNorm1d(3))
    RunningStatistics(network).before_step(4)
    twin = copy.deepcopy(network)
    for _ in range(3):
        twin(torch.randn(5, 3))
    network(torch.randn(5, 3))
    assert network[0].momentum == 1 / 5 and twin[0].momentum == 1 / 7
    twin.eval()(torch.randn(5, 3))
    assert twin[0].momentum == 1 / 7
