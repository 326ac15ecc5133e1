"""The batches of a recipe: those that a process trains on, and those that it measures."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from mpo_snn.data.augment import augmentation
from mpo_snn.data.dataset import Dataset, Pixels, Samples
from mpo_snn.data.shards import Shards
from mpo_snn.training.batches import Batch, Share, ordered_loader, shuffled_loader
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.stream import streamed_loader

TEST_BATCH, LARGE_SAMPLE = 256, 4096
"""Samples of the test split at a time, and values from which on a sample is a large one."""
MOST_RESIDENT = 4 << 30
"""Bytes of a split that are kept on a GPU beside the network."""

Loader = DataLoader[Batch]


def loaders_of(
    recipe: Recipe, dataset: Dataset, share: Share, device: str = "cpu", epoch: int = 0
) -> tuple[Loader, Loader]:
    """Batches of this process, to train and to measure, from an epoch on.

    On a GPU, samples that lie in memory are kept there and augmented there; AutoAugment, which
    draws for each image, stays on the CPU.

    Of the test split many small samples at a time, of large ones as many as in training.

    Raises:
        RecipeError: if there are too few samples for so many processes.
        DataError: if the samples cannot be augmented so.
    """
    size, workers, seed = recipe.optimizer.batch_size, recipe.data.workers, recipe.seed
    augment = augmentation(recipe.data, dataset.input_shape)
    is_large = math.prod(dataset.test_x.shape[1:]) > LARGE_SAMPLE
    test = min(TEST_BATCH, max(1, size // share.parts)) if is_large else TEST_BATCH
    if device == "cuda" and recipe.data.autoaugment == "none" and _fits(dataset):
        dataset, workers = _on(torch.device("cuda", torch.cuda.current_device()), dataset), 0
    x, y = dataset.train_x, dataset.train_y
    pinned = device == "cuda" and not y.is_cuda
    if isinstance(x, Shards):
        train = streamed_loader(x, size, seed, augment, workers, share, pinned)
    else:
        train = shuffled_loader(x, y, size, seed, augment, workers, share, pinned)
    # Lightning has the first batches fetched before it says which epoch it is.
    train.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
    return train, ordered_loader(dataset.test_x, dataset.test_y, test, workers, share, pinned)


def _fits(dataset: Dataset) -> bool:
    """Whether both splits lie in memory and may be kept on a GPU."""
    splits = [x.stored if isinstance(x, Pixels) else x for x in (dataset.train_x, dataset.test_x)]
    return all(isinstance(x, Tensor) and x.nbytes <= MOST_RESIDENT for x in splits)


def _on(device: torch.device, dataset: Dataset) -> Dataset:
    """The data set with its samples and labels on a device."""

    def moved(x: Samples) -> Samples:
        if isinstance(x, Pixels):
            return replace(x, stored=x.stored.to(device))
        assert isinstance(x, Tensor), "only samples in memory are moved"
        return cast(Samples, x.to(device))

    return replace(
        dataset,
        train_x=moved(dataset.train_x),
        train_y=dataset.train_y.to(device),
        test_x=moved(dataset.test_x),
        test_y=dataset.test_y.to(device),
    )
