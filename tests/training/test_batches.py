from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mpo_snn.data.augment import random_crop
from mpo_snn.errors import RecipeError
from mpo_snn.training.batches import EpochBatches, Share, ordered_loader, shuffled_loader
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


def test_loaders_keep_samples_and_labels_together() -> None:
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


@given(
    samples=st.integers(1, 200),
    batch_size=st.integers(1, 60),
    parts=st.integers(2, 5),
    epoch=st.integers(0, 2),
)
def test_processes_see_the_batches_of_a_single_one_in_parts(
    samples: int, batch_size: int, parts: int, epoch: int
) -> None:
    whole = EpochBatches(samples, batch_size, 0)
    if samples // len(whole) < parts:
        with pytest.raises(RecipeError, match="the smallest batch"):
            EpochBatches(samples, batch_size, 0, Share(0, parts))
        return
    shares = [EpochBatches(samples, batch_size, 0, Share(part, parts)) for part in range(parts)]
    for batches in (whole, *shares):
        batches.set_epoch(epoch)
    assert {len(share) for share in shares} == {len(whole)}
    for batch, *own in zip(whole, *shares, strict=True):
        assert [index for indices in own for index in indices] == batch
        assert 1 <= min(map(len, own)) and max(map(len, own)) <= min(map(len, own)) + 1
        assert {indices.step for indices in own} == {batch.step}  # type: ignore[attr-defined]


@given(samples=st.integers(1, 300), batch_size=st.integers(1, 60), parts=st.integers(2, 5))
def test_every_sample_is_measured_by_one_process(samples: int, batch_size: int, parts: int) -> None:
    x, y = torch.arange(float(samples)), torch.arange(samples)
    if samples < parts:
        with pytest.raises(RecipeError, match="use fewer processes"):
            ordered_loader(x, y, batch_size, share=Share(0, parts))
        return
    shares = [list(ordered_loader(x, y, batch_size, share=Share(n, parts))) for n in range(parts)]
    seen = [int(label) for share in shares for _, labels in share for label in labels]
    assert sorted(seen) == list(range(samples))
    assert len({len(share) for share in shares}) == 1
    assert min(len(labels) for share in shares for _, labels in share) >= 1
    assert max(len(labels) for share in shares for _, labels in share) <= max(batch_size, 2)


def test_processes_augment_by_draws_of_their_own() -> None:
    def marks(share: Share) -> list[int]:
        """Where the mark of every image, in the middle at first, is after a crop."""
        images = torch.zeros(40, 1, 9, 9)
        images[:, 0, 4, 4] = 1.0
        labels = torch.zeros(40, dtype=torch.int64)
        loader = shuffled_loader(images, labels, 40, 0, lambda x: random_crop(x, 4), share=share)
        return [int(place) for x, _ in loader for place in x.flatten(1).argmax(1)]

    first, second = marks(Share(0, 2)), marks(Share(1, 2))
    assert len(first) == len(second) == 20 and first != second
    assert second == marks(Share(1, 2))
