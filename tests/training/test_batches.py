from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from mpo_snn.training.batches import EpochBatches, ordered_loader, shuffled_loader
from mpo_snn.training.randomness import derived_seed


@given(samples=st.integers(1, 300), batch_size=st.integers(1, 70), seed=st.integers(0, 5))
def test_an_epoch_holds_every_sample_once_in_equal_batches(
    samples: int, batch_size: int, seed: int
) -> None:
    batches = EpochBatches(samples, batch_size, seed)
    epoch = list(batches)
    sizes = [len(batch) for batch in epoch]
    assert sorted(index for batch in epoch for index in batch) == list(range(samples))
    assert len(epoch) == len(batches)
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


def test_order_is_a_function_of_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        torch.rand(3)
        batches = EpochBatches(50, 8, seed)
        batches.set_epoch(epoch)
        return list(batches)

    assert order(0, 3) == order(0, 3)
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(1, 3)


def ordered_loaders_keep_samples_and_labels_together() -> None:
    x, y = torch.arange(20.0).reshape(20, 1), torch.arange(20)
    for loader in (shuffled_loader(x, y, 6, seed=1), ordered_loader(x, y, 6)):
        parts = list(loader)
        assert [len(labels) for _, labels in parts] in ([5, 5, 5, 5], [6, 6, 6, 2])
        for samples, labels in parts:
            assert torch.equal(samples[:, 0], labels.float())
    assert torch.equal(torch.cat([labels for _, labels in ordered_loader(x, y, 6)]), y)


def test_derived_seeds_differ_by_every_argument() -> None:
    seeds = {
        derived_seed(seed, purpose, index)
        for seed in range(4)
        for purpose in ("step", "order")
        for index in range(50)
    }
    assert len(seeds) == 400
    assert derived_seed(1, "step", 2) == derived_seed(1, "step", 2)
    torch.manual_seed(max(seeds))
