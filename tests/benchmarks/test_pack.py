"""CIFAR-10 packed for a journey has every pixel of what was packed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.gpu.images import PARTS, load_split
from benchmarks.gpu.pack import main
from benchmarks.small_images import write_parquet


@pytest.fixture
def pixels(tmp_path: Path) -> Path:
    draw, labels = np.random.default_rng(0), np.arange(20) % 10
    smooth = draw.integers(0, 255, (20, 1, 1, 3)) + np.arange(32)[:, None, None] % 7
    noise = draw.integers(0, 256, (20, 32, 32, 3))
    splits = {"x_train": (smooth + np.zeros((1, 32, 32, 1))) % 256, "x_test": noise}
    images = {name: x.astype(np.uint8) for name, x in splits.items()}
    np.savez(tmp_path / "cifar10.npz", **images, y_train=labels, y_test=labels[::-1])
    return tmp_path / "cifar10.npz"


def test_packed_images_are_the_same(pixels: Path, tmp_path: Path) -> None:
    assert main(["--data", str(pixels), str(tmp_path / "packed")]) == 0
    for part in PARTS:
        before = load_split(pixels, part, "cpu", None)
        after = load_split(tmp_path / "packed", part, "cpu", None)
        assert torch.equal(before.pixels, after.pixels)
        assert torch.equal(before.labels, after.labels)
        assert before.title == after.title == "CIFAR-10"


def test_a_lossy_copy_does_not_become_the_original(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_parquet(tmp_path, 4)
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path), str(tmp_path / "packed")])
    assert "is CIFAR-10 (JPEG q" in capsys.readouterr().err
    assert not list((tmp_path / "packed").glob("*"))


def test_what_is_no_data_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path / "nothing"), str(tmp_path / "packed")])
    assert "cannot read data set 'cifar10'" in capsys.readouterr().err.splitlines()[-1]
