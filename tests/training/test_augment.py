from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mpo_snn.data.augment import augmentation, cutout, random_crop, random_flip
from mpo_snn.data.settings import DataSettings
from mpo_snn.errors import DataError
from mpo_snn.training.batches import shuffled_loader
from mpo_snn.training.fit import fit
from mpo_snn.training.recipe import Recipe

from .conftest import bytes_at, interrupted_and_resumed


@pytest.fixture
def batch() -> Tensor:
    torch.manual_seed(0)
    return torch.randint(1, 256, (40, 3, 6, 7), dtype=torch.uint8)


def test_every_crop_is_a_window_of_the_padded_picture(batch: Tensor) -> None:
    padded = functional.pad(batch, [2] * 4)
    windows = []
    for picture, crop in zip(padded, random_crop(batch, 2), strict=True):
        found = [
            (i, j)
            for i in range(5)
            for j in range(5)
            if torch.equal(picture[:, i : i + 6, j : j + 7], crop)
        ]
        assert len(found) == 1
        windows += found
    assert len(set(windows)) > 12


def test_frames_of_a_recording_move_alike() -> None:
    frames = torch.rand(5, 1, 2, 6, 6).expand(5, 4, 2, 6, 6)
    moved = random_crop(frames, 2)
    assert all(torch.equal(moved[:, 0], moved[:, t]) for t in range(4))


def test_about_half_is_mirrored(batch: Tensor) -> None:
    flipped = [
        torch.equal(after, before.flip(-1)) or not torch.equal(after, before)
        for before, after in zip(batch, random_flip(batch), strict=True)
    ]
    assert 10 < sum(flipped) < 30
    for before, after in zip(batch, random_flip(batch), strict=True):
        assert torch.equal(after, before) or torch.equal(after, before.flip(-1))


@pytest.mark.parametrize("side", [1, 3, 4])
def test_cutout_blanks_one_square_that_may_cross_the_border(batch: Tensor, side: int) -> None:
    sizes = set()
    for before, after in zip(batch, cutout(batch, side), strict=True):
        blank = (after == 0).all(0)
        rows, columns = blank.any(1).nonzero()[:, 0], blank.any(0).nonzero()[:, 0]
        assert blank.sum() == len(rows) * len(columns)
        assert rows.max() - rows.min() + 1 == len(rows) <= side
        assert columns.max() - columns.min() + 1 == len(columns) <= side
        assert torch.equal(after[:, ~blank], before[:, ~blank])
        sizes.add((len(rows), len(columns)))
    assert (side, side) in sizes


def test_autoaugment_takes_pixels_only(batch: Tensor) -> None:
    augment = augmentation(DataSettings("cifar10", autoaugment="cifar10"), (3, 8, 8))
    assert augment is not None
    torch.manual_seed(1)
    first = augment(batch)
    torch.manual_seed(1)
    assert torch.equal(augment(batch), first)
    assert first.shape == batch.shape and not torch.equal(first, batch)
    with pytest.raises(DataError, match="takes images of pixels 0 to 255"):
        augment(batch.float())


def test_nothing_asked_for_is_nothing_done() -> None:
    assert augmentation(DataSettings(), (1, 8, 8)) is None


def test_what_a_step_sees_does_not_depend_on_what_came_before() -> None:
    x, y = torch.rand(20, 1, 8, 8), torch.arange(20)
    augment = augmentation(DataSettings(crop=2, flip=True), (1, 8, 8))

    def epoch(number: int, workers: int = 0) -> Tensor:
        torch.rand(3)
        loader = shuffled_loader(x, y, 6, 0, augment, workers)
        loader.sampler.set_epoch(number)  # type: ignore[attr-defined]
        return torch.cat([samples for samples, _ in loader])

    assert torch.equal(epoch(1), epoch(1))
    assert torch.equal(epoch(1), epoch(1, workers=2))
    assert not torch.equal(epoch(1), epoch(2))


@pytest.mark.parametrize("workers", [0, 1])
def test_resume_with_augmentation_is_bitwise(workers: int, tiny: Recipe, tmp_path: Path) -> None:
    path = bytes_at(tmp_path / "mnist.npz", 60)
    data = DataSettings("mnist", path, crop=2, cutout=5, workers=workers)
    optimizer = replace(tiny.optimizer, batch_size=20)
    recipe = replace(tiny, data=data, epochs=2, encoding="rate", optimizer=optimizer)
    whole = fit(recipe, tmp_path / "whole", device="cpu")
    run = interrupted_and_resumed(recipe, tmp_path / "run", 4)
    for name in ("model.safetensors", "metrics.csv"):
        assert (run.path / name).read_bytes() == (whole.path / name).read_bytes()
