"""The batches of a recipe: those that a process trains on, and those that it measures."""

from __future__ import annotations

import math

from torch.utils.data import DataLoader

from mpo_snn.data.augment import augmentation
from mpo_snn.data.dataset import Dataset
from mpo_snn.data.shards import Shards
from mpo_snn.training.batches import Batch, Share, ordered_loader, shuffled_loader
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.stream import streamed_loader

TEST_BATCH, LARGE_SAMPLE = 256, 4096
"""Samples of the test split at a time, and values from which on a sample is a large one."""

Loader = DataLoader[Batch]


def loaders_of(
    recipe: Recipe, dataset: Dataset, share: Share, epoch: int = 0
) -> tuple[Loader, Loader]:
    """Batches of this process, to train and to measure, from an epoch on.

    Of the test split many small samples at a time, of large ones as many as in training.

    Raises:
        RecipeError: if there are too few samples for so many processes.
        DataError: if the samples cannot be augmented so.
    """
    size, workers = recipe.optimizer.batch_size, recipe.data.workers
    augment = augmentation(recipe.data, dataset.input_shape)
    is_large = math.prod(dataset.test_x.shape[1:]) > LARGE_SAMPLE
    test = min(TEST_BATCH, max(1, size // share.parts)) if is_large else TEST_BATCH
    x, y, seed = dataset.train_x, dataset.train_y, recipe.seed
    if isinstance(x, Shards):
        train = streamed_loader(x, size, seed, augment, workers, share)
    else:
        train = shuffled_loader(x, y, size, seed, augment, workers, share)
    # Lightning has the first batches fetched before it says which epoch it is.
    train.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
    return train, ordered_loader(dataset.test_x, dataset.test_y, test, workers, share)
