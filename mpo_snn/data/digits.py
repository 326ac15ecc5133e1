"""Handwritten digits, 1,797 images of 8x8 pixels; they come with scikit-learn, without download.

The test part of the Optical Recognition of Handwritten Digits data (E. Alpaydin and C. Kaynak,
UCI machine learning repository, 1998): counts of ink in 4x4 blocks of a 32x32 bitmap.
"""

from __future__ import annotations

from typing import Literal

import torch

from mpo_snn.data.part import Part
from mpo_snn.data.scaling import Scaling
from mpo_snn.data.settings import DataSettings
from mpo_snn.errors import DataError

SPLIT_SEED = 0
TEST_SHARE = 0.2
PIXEL_MAX = 16.0


def load(settings: DataSettings, timesteps: int, part: Literal["train", "test"]) -> Part:
    """1,437 training or 360 test images, (1, 8, 8), every class in its share in both.

    The split does not depend on the seed of a run: all runs are tested on the same images.

    Raises:
        DataError: if a path is given, or a normalization.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    found = []
    if settings.path is not None:
        found.append(
            "digits come with the package; leave out data.path. Data of your own needs --data"
            " archive (or imagefolder), in training data.name."
        )
    given = [key for key in ("size", "resized_crop", "normalize") if getattr(settings, key)]
    if given:
        keys = ", ".join(f"data.{key}" for key in given)
        found.append(f"digits are taken as they are; leave out {keys}.")
    if found:
        raise DataError("cannot use data set 'digits'", found)
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images / PIXEL_MAX, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels, dtype=torch.int64)
    train, test = train_test_split(
        range(len(y)), test_size=TEST_SHARE, stratify=labels, random_state=SPLIT_SEED
    )
    chosen = train if part == "train" else test
    return Part(
        x=x[chosen],
        y=y[chosen],
        class_names=tuple(str(digit) for digit in range(10)),
        title="digits",
        scaling=Scaling(1.0),
        words="pixel / 16, from integer pixels 0..16 to values in [0, 1]",
    )
