"""Batches whose order is a function of (seed, epoch), so that a resumed run sees the same ones."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from mpo_snn.data.augment import Augment
from mpo_snn.data.dataset import Samples, draw
from mpo_snn.training.randomness import derived_seed

Batch = tuple[Tensor, Tensor]


class Indices(list[int]):
    """Indices of one batch, and the number of its step in the run, by which it is augmented."""

    step: int


class EpochBatches(Sampler[list[int]]):
    """Indices of every batch of an epoch; Lightning calls `set_epoch` before each.

    An epoch holds every sample once, in ceil(samples / batch_size) batches that differ by one
    sample at most: no batch is so small that its statistics mean nothing.

    Args:
        samples: how many there are.
        batch_size: samples in a batch at most.
        seed: with the epoch, decides the order.
    """

    def __init__(self, samples: int, batch_size: int, seed: int) -> None:
        """Start at epoch 0."""
        self.samples, self.batch_size, self.seed = samples, batch_size, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Take the order of this epoch from now on."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        """The batches of the current epoch."""
        generator = torch.Generator().manual_seed(derived_seed(self.seed, "order", self.epoch))
        order = torch.randperm(self.samples, generator=generator)
        for number, batch in enumerate(order.tensor_split(len(self))):
            indices = Indices(batch.tolist())
            indices.step = self.epoch * len(self) + number
            yield indices


class LabelledSamples(TorchDataset[Batch]):
    """Samples with their labels; a batch is one indexing operation."""

    def __init__(self, x: Samples, y: Tensor) -> None:
        """Keep x, (N, *features), and y, (N,)."""
        self.x, self.y = x, y

    def __len__(self) -> int:
        """How many samples there are."""
        return len(self.y)

    def __getitem__(self, indices: list[int]) -> Batch:
        """The batch of these samples."""
        return self.x[indices], self.y[indices]


class AugmentedSamples(LabelledSamples):
    """Samples that are augmented by draws that are a function of (seed, step) alone."""

    def __init__(self, x: Samples, y: Tensor, augment: Augment | None, seed: int) -> None:
        """Keep x, (N, *features), y, (N,), and how to augment."""
        super().__init__(x, y)
        self.augment, self.seed = augment, seed

    def __getitem__(self, indices: list[int]) -> Batch:
        """The batch of these samples, augmented for its step."""
        assert isinstance(indices, Indices), "batches of training know their step"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(self.seed, "augment", indices.step))
            return draw(self.x, indices, self.augment), self.y[indices]


def shuffled_loader(
    x: Samples,
    y: Tensor,
    batch_size: int,
    seed: int,
    augment: Augment | None = None,
    workers: int = 0,
) -> DataLoader[Batch]:
    """Batches of the training split, in an order of its own for every epoch.

    The batches are the loader's `sampler`, not its `batch_sampler`: of these two, Lightning calls
    `set_epoch` on the first only.
    """
    return DataLoader(
        AugmentedSamples(x, y, augment, seed),
        sampler=EpochBatches(len(y), batch_size, seed),
        batch_size=None,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def ordered_loader(
    x: Samples, y: Tensor, batch_size: int = 256, workers: int = 0
) -> DataLoader[Batch]:
    """Batches of the test split, in the order of the data set."""
    batches = BatchSampler(range(len(y)), batch_size, drop_last=False)
    return DataLoader(
        LabelledSamples(x, y),
        sampler=batches,
        batch_size=None,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
