"""The digest of samples: the same for the same ones, another as soon as it sees a difference."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mpo_snn.data import digest, load_dataset
from mpo_snn.data.dataset import Pixels
from mpo_snn.data.digest import digest_of, spread
from mpo_snn.data.scaling import Scaling
from mpo_snn.errors import DataError

from .shard_images import settings, write_images

Y = torch.arange(12) % 3


def pixels() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (12, 1, 4, 4), generator=generator, dtype=torch.uint8)


def test_samples_in_memory_are_seen_to_the_last_value() -> None:
    x = pixels()
    first = digest_of(Pixels(x, Scaling(255.0)), Y)
    assert len(first) == 32
    assert digest_of(Pixels(x.clone(), Scaling(1.0)), Y.clone()) == first
    changed = x.clone()
    changed[7, 0, 3, 3] ^= 1
    assert digest_of(Pixels(changed, Scaling(255.0)), Y) != first
    assert digest_of(Pixels(x, Scaling(255.0)), Y.roll(1)) != first
    assert digest_of(Pixels(x.reshape(12, 1, 2, 8), Scaling(255.0)), Y) != first
    assert digest_of(x.float(), Y) != first
    assert digest_of(x.permute(0, 1, 3, 2), Y) == digest_of(x.permute(0, 1, 3, 2).contiguous(), Y)
    assert digest_of(x[:0], Y[:0]) != first


def test_of_many_samples_some_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    x = pixels()
    monkeypatch.setattr(digest, "MOST_BYTES", x.nbytes // 4)
    first = digest_of(x, Y)
    seen = []
    for number in range(12):
        changed = x.clone()
        changed[number] ^= 1
        if digest_of(changed, Y) != first:
            seen.append(number)
    assert seen == spread(12, 3) == [0, 4, 8]
    assert digest_of(x, Y.roll(1)) != first


@pytest.mark.parametrize(("count", "most"), [(0, 3), (1, 3), (3, 3), (10, 3), (7, 5)])
def test_numbers_are_spread_over_all(count: int, most: int) -> None:
    found = spread(count, most)
    assert len(set(found)) == len(found) == min(count, most)
    assert all(0 <= number < count for number in found) and found == sorted(found)


def of_folder(path: Path) -> tuple[str, str]:
    data = load_dataset(settings(path), 2)
    return digest_of(data.train_x, data.train_y), digest_of(data.test_x, data.test_y)


def with_other_content(folder: Path) -> None:
    """An image of the same size with another colour."""
    path = folder / "train" / "cat" / "000.png"
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "change",
    [
        with_other_content,
        lambda folder: (folder / "train/cat/000.png").rename(folder / "train/cat/zzz.png"),
        lambda folder: (folder / "train/cat/000.png").rename(folder / "train/dog/000.png"),
    ],
)
def test_image_files(change: Callable[[Path], object], tmp_path: Path) -> None:
    folder = write_images(tmp_path / "a")
    train, test = of_folder(folder)
    moved = tmp_path / "elsewhere" / "b"
    shutil.copytree(folder, moved)
    assert of_folder(moved) == (train, test)
    change(moved)
    other, same = of_folder(moved)
    assert other != train and same == test


def test_image_files_that_are_gone(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "a")
    data = load_dataset(settings(folder), 2)
    (folder / "train" / "cat" / "000.png").unlink()
    with pytest.raises(DataError, match=r"cannot read '.*000\.png': No such file"):
        digest_of(data.train_x, data.train_y)


def test_shards(shards: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(shards, copy)
    before = of_folder(shards)
    assert of_folder(copy) == before
    with (copy / "train-000000.tar").open("ab") as file:
        file.write(bytes(512))
    other, same = of_folder(copy)
    assert other != before[0] and same == before[1]
