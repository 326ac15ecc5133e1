"""Handwritten digits, 1,797 images of 8x8 pixels; they come with scikit-learn, without download.

The test part of the Optical Recognition of Handwritten Digits data (E. Alpaydin and C. Kaynak,
UCI machine learning repository, 1998): counts of ink in 4x4 blocks of a 32x32 bitmap.
"""

from __future__ import annotations

import torch

from mpo_snn.data.dataset import Dataset

SPLIT_SEED = 0
TEST_SHARE = 0.2
PIXEL_MAX = 16.0


def load() -> Dataset:
    """1,437 training and 360 test images, (1, 8, 8), every class in its share in both.

    The split does not depend on the seed of a run: all runs are tested on the same images.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images / PIXEL_MAX, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels, dtype=torch.int64)
    train, test = train_test_split(
        range(len(y)), test_size=TEST_SHARE, stratify=labels, random_state=SPLIT_SEED
    )
    return Dataset(
        name="digits",
        train_x=x[train],
        train_y=y[train],
        test_x=x[test],
        test_y=y[test],
        class_names=tuple(str(digit) for digit in range(10)),
        input_scaling="pixel / 16, from integer pixels 0..16 to values in [0, 1]",
    )
