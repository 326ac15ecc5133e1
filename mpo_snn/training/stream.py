"""Batches of images that are streamed from shards, as a function of (seed, epoch, step).

In every epoch the shards are put into another order, and the images, in this order one after
another, are cut into as many stretches as there are streams: one for every worker of every
process. So each stream reads shards of its own (at most it shares the one at either end), no image
is seen twice in an epoch and none is left out. Within a stream images are shuffled in a buffer.
Batches are as large as those of `EpochBatches`, and a resumed run sees the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from mpo_snn.data.augment import Augment
from mpo_snn.data.image_parts import decode, parts_of
from mpo_snn.data.shard_stream import Encoded, stream
from mpo_snn.data.shards import Shards, Span
from mpo_snn.training.batches import WHOLE, Batch, EpochBatches, Share, loader
from mpo_snn.training.randomness import derived_seed


@dataclass(frozen=True)
class Step:
    """Which step of which epoch, both from 0."""

    epoch: int
    number: int


class EpochSteps(Sampler[Step]):
    """The steps of an epoch; Lightning calls `set_epoch` before each."""

    def __init__(self, steps: int) -> None:
        """Start at epoch 0."""
        self.steps, self.epoch = steps, 0

    def set_epoch(self, epoch: int) -> None:
        """Take this epoch from now on."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Steps in an epoch."""
        return self.steps

    def __iter__(self) -> Iterator[Step]:
        """The steps of the current epoch."""
        return (Step(self.epoch, number) for number in range(self.steps))


class StreamedBatches(TorchDataset[Batch]):
    """The batch of a step; worker w of W makes the steps w, w + W, ... one after another.

    Args:
        shards: the training images.
        batch_size: images in a batch at most, over all processes.
        seed: of the run.
        augment: what is done to the images, if anything.
        workers: that make batches; 0 if the training process does.
        share: of every batch, the part of this process.

    Raises:
        RecipeError: if a process would have nothing to do in a batch.
    """

    def __init__(
        self,
        shards: Shards,
        batch_size: int,
        seed: int,
        augment: Augment | None = None,
        workers: int = 0,
        share: Share = WHOLE,
    ) -> None:
        """Read nothing yet."""
        whole = EpochBatches(len(shards), batch_size, seed, share)  # refuses what it cannot cut
        self.shards, self.seed, self.augment, self.share = shards, seed, augment, share
        self.streams = max(1, workers)
        self.count, self.steps = len(shards), len(whole)
        self._at: Step | None = None
        self._images: Iterator[Encoded] = iter(())

    def sizes(self, part: int) -> list[int]:
        """Images in each step of a process."""
        return [
            _even(_even(self.count, self.steps, step), self.share.parts, part)
            for step in range(self.steps)
        ]

    def stretch(self, epoch: int, worker: int) -> tuple[Span, ...]:
        """What a worker of this process reads in an epoch."""
        generator = torch.Generator().manual_seed(derived_seed(self.seed, "order", epoch))
        order = torch.randperm(len(self.shards.spans), generator=generator).tolist()
        lengths = [
            sum(sizes[w :: self.streams])
            for sizes in map(self.sizes, range(self.share.parts))
            for w in range(self.streams)
        ]
        return self.shards.cut(order, lengths)[self.share.part * self.streams + worker]

    def __getitem__(self, step: Step) -> Batch:
        """Images (batch, 3, size, size), as they are stored, and labels of a step."""
        if step != self._at:
            self._seek(step)
        size = _even(self.count, self.steps, step.number)
        images = list(islice(self._images, _even(size, self.share.parts, self.share.part)))
        self._at = Step(step.epoch, step.number + self.streams)
        run_step = step.epoch * self.steps + step.number
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(self.seed, "augment", run_step, self.share.part))
            opened = (decode(one.content, one.name) for one in images)
            x = parts_of(opened, self.shards.size, self.shards.resized_crop)
            x = x if self.augment is None else self.augment(x)
        return x, torch.tensor([one.label for one in images])

    def _seek(self, step: Step) -> None:
        """Open the stream that a step belongs to, before it."""
        worker, own = step.number % self.streams, self.sizes(self.share.part)
        place = self.share.part * self.streams + worker
        seed = derived_seed(self.seed, "buffer", step.epoch, place)
        shards = self.shards
        self._images = stream(shards.root, self.stretch(step.epoch, worker), shards.buffer, seed)
        for _ in islice(self._images, sum(own[worker : step.number : self.streams])):
            pass


def streamed_loader(
    shards: Shards,
    batch_size: int,
    seed: int,
    augment: Augment | None = None,
    workers: int = 0,
    share: Share = WHOLE,
    pinned: bool = False,
) -> DataLoader[Batch]:
    """Batches of the training split; arguments and errors as in `StreamedBatches`."""
    batches = StreamedBatches(shards, batch_size, seed, augment, workers, share)
    return loader(batches, EpochSteps(batches.steps), workers, pinned)


def _even(count: int, parts: int, part: int) -> int:
    """Size of a part where `count` things are cut into parts that differ by one at most."""
    return count // parts + (part < count % parts)
