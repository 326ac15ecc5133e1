"""Batches whose order is a function of (seed, epoch), so that a resumed run sees the same ones.

Several processes see, step by step, the batches that a single one would, each its own part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from mpo_snn.data.augment import Augment
from mpo_snn.data.dataset import Samples, as_stored, index_on
from mpo_snn.errors import RecipeError
from mpo_snn.training.randomness import derived_seed

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Share:
    """Which part of every batch a process sees: number `part`, from 0, of `parts`."""

    part: int = 0
    parts: int = 1

    def of(self, batch: Tensor) -> Tensor:
        """Its part of (N, *any); parts differ by one at most."""
        return batch.tensor_split(self.parts)[self.part]


WHOLE = Share()


class Indices(list[int]):
    """Indices of one batch, and the number of its step in the run, by which it is augmented."""

    step: int


class EpochBatches(Sampler[list[int]]):
    """Indices of every batch of an epoch; Lightning calls `set_epoch` before each.

    An epoch holds every sample once, in ceil(samples / batch_size) batches that differ by one
    sample at most: no batch is so small that its statistics mean nothing.

    Args:
        samples: how many there are.
        batch_size: samples in a batch at most, over all processes.
        seed: with the epoch, decides the order.
        share: of every batch, the part of this process.

    Raises:
        RecipeError: if a process would have nothing to do in a batch.
    """

    def __init__(self, samples: int, batch_size: int, seed: int, share: Share = WHOLE) -> None:
        """Start at epoch 0."""
        self.samples, self.batch_size, self.seed = samples, batch_size, seed
        self.share, self.epoch = share, 0
        smallest = samples // max(1, len(self))
        if share.parts > 1 and smallest < share.parts:
            raise RecipeError(
                f"cannot train {samples} samples in batches of {batch_size} in {share.parts}"
                f" processes: the smallest batch has {smallest}, and each process needs one sample"
                " of it. Use fewer processes or a larger optimizer.batch_size."
            )

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
            indices = Indices(self.share.of(batch).tolist())
            indices.step = self.epoch * len(self) + number
            yield indices


class LabelledSamples(TorchDataset[Batch]):
    """Samples as they are stored, with their labels; a batch is one indexing operation."""

    def __init__(self, x: Samples, y: Tensor) -> None:
        """Keep x, (N, *features), and y, (N,)."""
        self.x, self.y = x, y

    def __len__(self) -> int:
        """How many samples there are."""
        return len(self.y)

    def __getitem__(self, indices: list[int]) -> Batch:
        """The batch of these samples."""
        return as_stored(self.x, indices), self.y[index_on(self.y.device, indices)]


class AugmentedSamples(LabelledSamples):
    """Samples that are augmented by draws that are a function of (seed, step, rank) alone."""

    def __init__(
        self, x: Samples, y: Tensor, augment: Augment | None, seed: int, rank: int = 0
    ) -> None:
        """Keep x, (N, *features), y, (N,), and how to augment."""
        super().__init__(x, y)
        self.augment, self.seed, self.rank = augment, seed, rank

    def __getitem__(self, indices: list[int]) -> Batch:
        """The batch of these samples, augmented for its step."""
        assert isinstance(indices, Indices), "batches of training know their step"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(self.seed, "augment", indices.step, self.rank))
            x = as_stored(self.x, indices, self.augment, training=True)
        return x, self.y[index_on(self.y.device, indices)]


def loader(
    batches: TorchDataset[Batch], order: Any, workers: int, pinned: bool
) -> DataLoader[Batch]:
    """What makes batches, called with each element of an order in turn.

    The order is the loader's `sampler`, not its `batch_sampler`: of these two, Lightning calls
    `set_epoch` on the first only. `pinned` batches reach a GPU without being waited for.
    """
    return DataLoader(
        batches,
        sampler=order,
        batch_size=None,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pinned,
    )


def shuffled_loader(
    x: Samples,
    y: Tensor,
    batch_size: int,
    seed: int,
    augment: Augment | None = None,
    workers: int = 0,
    share: Share = WHOLE,
    pinned: bool = False,
) -> DataLoader[Batch]:
    """Batches of the training split, in an order of its own for every epoch."""
    samples = AugmentedSamples(x, y, augment, seed, share.part)
    return loader(samples, EpochBatches(len(y), batch_size, seed, share), workers, pinned)


def ordered_loader(
    x: Samples,
    y: Tensor,
    batch_size: int = 256,
    workers: int = 0,
    share: Share = WHOLE,
    pinned: bool = False,
) -> DataLoader[Batch]:
    """Batches of the test split, in the order of the data set.

    Of several processes each has the same number of batches, none of them empty, and every sample
    is in one of them.

    Raises:
        RecipeError: if there are fewer samples than processes.
    """
    return loader(LabelledSamples(x, y), _ordered(len(y), batch_size, share), workers, pinned)


def _ordered(samples: int, batch_size: int, share: Share) -> Sequence[list[int]]:
    """Indices of the batches of a process."""
    if share.parts == 1:
        return list(BatchSampler(range(samples), batch_size, drop_last=False))
    if samples < share.parts:
        raise RecipeError(
            f"cannot measure accuracy on {samples} samples in {share.parts} processes, each of"
            " which needs one: use fewer processes, or more test samples."
        )
    batches = min(-(-samples // (batch_size * share.parts)), samples // share.parts)
    chunks = torch.arange(samples).tensor_split(batches * share.parts)
    return [chunk.tolist() for chunk in chunks[share.part :: share.parts]]
