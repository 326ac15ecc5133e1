"""The recipe of a second, shorter training."""

from __future__ import annotations

from dataclasses import replace

from mpo_snn.cli.fine_tune import check_same_network, fine_tuning_recipe
from mpo_snn.training.recipe_file import load_recipe


def test_it_goes_on_as_the_first_training_ended() -> None:
    """That one had fewer timesteps in most of its epochs, more of them than the second has."""
    first = load_recipe("cifar10-cpu")
    assert first.early_epochs == 20
    second = fine_tuning_recipe(first)
    assert second.epochs < first.early_epochs
    assert {second.timesteps_in(epoch) for epoch in range(second.epochs)} == {first.timesteps}
    assert second.mpo.width_scale == first.mpo.width_scale_end
    assert second.optimizer.lr < first.optimizer.lr
    check_same_network(first, second)


def test_targets_may_be_smoothed_in_one_of_the_two() -> None:
    first = load_recipe("digits")
    check_same_network(first, replace(fine_tuning_recipe(first), label_smoothing=0.1))
