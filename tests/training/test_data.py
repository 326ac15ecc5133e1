from __future__ import annotations

import pytest
import torch

from mpo_snn.data import dataset_names, load_dataset
from mpo_snn.errors import DataError


def test_digits_are_scaled_and_split_by_class() -> None:
    digits = load_dataset("digits")
    assert digits.input_shape == (1, 8, 8)
    assert (len(digits.train_y), len(digits.test_y)) == (1437, 360)
    assert digits.train_x.dtype == torch.float32
    assert digits.train_y.dtype == torch.int64
    pixels = torch.cat([digits.train_x, digits.test_x])
    assert pixels.min() == 0
    assert pixels.max() == 1
    assert torch.equal(16 * pixels, (16 * pixels).round())
    counts = digits.train_y.bincount() + digits.test_y.bincount()
    assert ((digits.test_y.bincount() / counts - 0.2).abs() < 0.005).all()
    assert digits.class_names == tuple("0123456789")
    assert "16" in digits.input_scaling


def test_splits_share_no_image_and_never_change() -> None:
    digits, again = load_dataset("digits"), load_dataset("digits")
    assert torch.equal(digits.train_x, again.train_x)
    train = {tuple(image.flatten().tolist()) for image in digits.train_x}
    test = {tuple(image.flatten().tolist()) for image in digits.test_x}
    assert not train & test


def test_pictures_and_labels_belong_together() -> None:
    digits = load_dataset("digits")
    means = torch.stack([digits.train_x[digits.train_y == k].mean(0) for k in range(10)])
    distance = (digits.test_x[:, None] - means).flatten(2).square().sum(-1)
    accuracy = (distance.argmin(1) == digits.test_y).float().mean()
    assert accuracy > 0.85


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"unknown data set 'nothing': choose one of .*digits"):
        load_dataset("nothing")
    assert "digits" in dataset_names()
