"""The batches of a recipe: those that a process trains on, and those that it measures."""

from __future__ import annotations

import math

from torch.utils.data import DataLoader

from mpo_snn.data.augment import augmentation
from mpo_snn.data.dataset import Dataset
from mpo_snn.training.batches import Batch, Share, ordered_loader, shuffled_loader
from mpo_snn.training.recipe import Recipe

TEST_BATCH, LARGE_SAMPLE = 256, 4096
"""Samples of the test split at a time, and values from which on a sample is a large one."""

Loader = DataLoader[Batch]


def loaders_of(recipe: Recipe, dataset: Dataset, share: Share) -> tuple[Loader, Loader]:
    """Batches of this process, to train and to measure.

    Of the test split many small samples at a time, of large ones as many as in training.

    Raises:
        RecipeError: if there are too few samples for so many processes.
        DataError: if the samples cannot be augmented so.
    """
    size, workers = recipe.optimizer.batch_size, recipe.data.workers
    augment = augmentation(recipe.data, dataset.input_shape)
    is_large = math.prod(dataset.test_x.shape[1:]) > LARGE_SAMPLE
    test = min(TEST_BATCH, max(1, size // share.parts)) if is_large else TEST_BATCH
    return (
        shuffled_loader(
            dataset.train_x, dataset.train_y, size, recipe.seed, augment, workers, share
        ),
        ordered_loader(dataset.test_x, dataset.test_y, test, workers, share),
    )
