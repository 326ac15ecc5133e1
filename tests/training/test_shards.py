"""Tar shards: written, streamed in training by any number of processes and workers, measured."""

from __future__ import annotations

import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mpo_snn.cli.shards import main as mpo_shards
from mpo_snn.data import load_dataset
from mpo_snn.data.augment import augmentation
from mpo_snn.data.settings import DataSettings
from mpo_snn.data.shard_index import Shard
from mpo_snn.data.shards import Shards, Span
from mpo_snn.errors import DataError, RecipeError
from mpo_snn.training.batches import Share
from mpo_snn.training.fit import fit
from mpo_snn.training.stream import StreamedBatches, streamed_loader

from .conftest import interrupted_and_resumed
from .shard_images import CLASSES, SIZE, recipe, settings, write_images


def numbers(x: Tensor) -> list[int]:
    """The numbers of images, stored or scaled."""
    x = x if x.dtype == torch.uint8 else 255 * x
    return x[:, 0, 0, 0].round().int().tolist()


def epoch_of(loader: Any, epoch: int = 0) -> list[tuple[list[int], list[int]]]:
    loader.sampler.set_epoch(epoch)
    return [(numbers(x), y.tolist()) for x, y in loader]


def test_every_image_is_written_once_and_read_with_its_class(shards: Path) -> None:
    names = [f"train-{n:06d}.tar" for n in range(5)] + ["val-000000.tar", "val-000001.tar"]
    assert sorted(path.name for path in shards.iterdir()) == ["shards.json", *names]
    data = load_dataset(settings(shards))
    assert data.class_names == CLASSES and data.input_shape == (3, SIZE, SIZE)
    assert isinstance(data.train_x, Shards) and not isinstance(data.test_x, Shards)
    for x, y, count in ((data.train_x, data.train_y, 30), (data.test_x, data.test_y, 9)):
        seen = numbers(x[:])
        assert sorted(seen) == list(range(count))
        assert y.tolist() == [number % 3 for number in seen]
    # Each shard holds each class in its share, to within one.
    for file in names[:4]:
        labels = next(s.shard.labels for s in data.train_x.spans if s.shard.file == file)
        assert max(Counter(labels).values()) <= 7 / 3 + 1


def test_an_epoch_has_every_image_once_in_an_order_of_its_own(shards: Path) -> None:
    x = load_dataset(settings(shards)).train_x
    assert isinstance(x, Shards)
    for workers in (0, 2):
        loader = streamed_loader(x, 8, 3, workers=workers)
        first, second, again = (epoch_of(loader, epoch) for epoch in (0, 1, 0))
        assert [len(y) for _, y in first] == [8, 8, 7, 7]
        seen = [number for images, _ in first for number in images]
        assert sorted(seen) == list(range(30))
        assert all([n % 3 for n in images] == labels for images, labels in first)
        assert first == again and first != second
        assert first != epoch_of(streamed_loader(x, 8, 4, workers=workers))


def test_processes_see_images_of_their_own(shards: Path) -> None:
    x = load_dataset(settings(shards)).train_x
    assert isinstance(x, Shards)
    parts = [epoch_of(streamed_loader(x, 8, 0, share=Share(part, 2))) for part in range(2)]
    seen = [{number for images, _ in part for number in images} for part in parts]
    assert not seen[0] & seen[1] and len(seen[0] | seen[1]) == 30
    for a, b in zip(*parts, strict=True):
        assert len(a[1]) + len(b[1]) in (7, 8) and abs(len(a[1]) - len(b[1])) <= 1
    with pytest.raises(RecipeError, match="the smallest batch has 1"):
        StreamedBatches(x, 1, 0, share=Share(0, 2))


@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=12),
    batch=st.integers(1, 20),
    workers=st.integers(0, 4),
    parts=st.integers(1, 4),
)
def test_streams_share_out_all_images(
    lengths: list[int], batch: int, workers: int, parts: int
) -> None:
    spans = [Span(Shard(f"{n}.tar", (0,) * size), 0, size) for n, size in enumerate(lengths)]
    images = sum(lengths)
    if images // -(-images // batch) < parts:
        return
    shares = [
        StreamedBatches(Shards(".", tuple(spans)), batch, 0, None, workers, Share(n, parts))
        for n in range(parts)
    ]
    streams = max(1, workers)
    pieces = [share.stretch(2, worker) for share in shares for worker in range(streams)]
    seen = [(s.shard.file, n) for piece in pieces for s in piece for n in range(s.start, s.stop)]
    assert len(seen) == len(set(seen)) == images
    # A stream reads whole shards but for the two at its ends.
    for piece in pieces:
        assert all(len(span) == len(span.shard.labels) for span in piece[1:-1])
    steps = [sum(sizes) for sizes in zip(*(s.sizes(n) for n, s in enumerate(shares)), strict=True)]
    assert max(steps) <= batch and max(steps) - min(steps) <= 1
    for number, share in enumerate(shares):
        for worker in range(streams):
            own = share.sizes(number)[worker::streams]
            assert sum(own) == sum(map(len, pieces[number * streams + worker]))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.data())
def test_a_subset_is_of_those_images(lengths: list[int], data: st.DataObject) -> None:
    spans = [
        Span(Shard(f"{n}.tar", tuple(range(9))), 1, 1 + size) for n, size in enumerate(lengths)
    ]
    whole = Shards(".", tuple(spans))
    chosen = sorted(
        data.draw(st.sets(st.integers(0, max(0, len(whole) - 1)))) if len(whole) else []
    )
    every = [(s.shard.file, n) for s in spans for n in range(s.start, s.stop)]
    found = whole.subset(chosen).spans
    assert [(s.shard.file, n) for s in found for n in range(s.start, s.stop)] == [
        every[index] for index in chosen
    ]


def test_a_step_is_the_same_whoever_asks_for_it_first(shards: Path) -> None:
    x = load_dataset(settings(shards, resized_crop=True, flip=True)).train_x
    assert isinstance(x, Shards)
    augment = augmentation(DataSettings(flip=True, crop=2), (3, SIZE, SIZE))
    batches = StreamedBatches(x, 8, 1, augment, workers=2)
    steps = list(streamed_loader(x, 8, 1, augment, workers=2).sampler)
    in_order = [batches[step] for step in steps]
    for step in reversed(steps):
        for ours, theirs in zip(batches[step], in_order[step.number], strict=True):
            assert torch.equal(ours, theirs)


def test_limits_and_validation_are_beginnings_and_ends(shards: Path) -> None:
    whole = load_dataset(settings(shards))
    limited = load_dataset(settings(shards, train_limit=10, test_limit=4))
    assert limited.train_y.tolist() == whole.train_y[:10].tolist()
    assert numbers(limited.test_x[:]) == numbers(whole.test_x[:4])
    held = load_dataset(settings(shards, validation=0.2))
    assert held.evaluated_on == "validation"
    assert isinstance(held.train_x, Shards)
    seen = [numbers(held.train_x[:]), numbers(held.test_x[:])]
    assert (len(seen[0]), len(seen[1])) == (24, 6)
    assert sorted(seen[0] + seen[1]) == list(range(30))
    assert sorted(held.test_y.tolist()) == [0, 0, 1, 1, 2, 2]
    streamed = epoch_of(streamed_loader(held.train_x, 8, 0))
    assert sorted(n for images, _ in streamed for n in images) == sorted(seen[0])


def test_paths_to_shards(shards: Path) -> None:
    names = {len(load_dataset(settings(path)).train_y) for path in (shards, shards / "shards.json")}
    assert names == {30}
    assert len(load_dataset(settings(shards / "train-{000001..000002}.tar")).train_y) == 14
    assert len(load_dataset(settings(shards / "train-000004.tar")).train_y) == 2
    address = f"file://{shards}"
    with pytest.raises(DataError, match=r"name a folder, with --data\.cache"):
        load_dataset(settings(address))
    cached = settings(address, cache=str(shards.parent / "cache"))
    for _ in range(2):
        data = load_dataset(cached)
        assert sorted(numbers(data.test_x[:])) == list(range(9))
    assert isinstance(data.train_x, Shards)
    assert (
        len({n for images, _ in epoch_of(streamed_loader(data.train_x, 8, 0)) for n in images})
        == 30
    )


def test_a_network_trains_from_shards_and_resumes_to_the_same_bytes(
    shards: Path, tmp_path: Path
) -> None:
    made = recipe(shards, workers=1)
    whole = fit(made, tmp_path / "whole", device="cpu")
    again = interrupted_and_resumed(made, tmp_path / "run", 5)
    for name in ("model.safetensors", "metrics.csv"):
        assert (again.path / name).read_bytes() == (whole.path / name).read_bytes()


def test_the_command_writes_equal_bytes_and_refuses_a_second_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_images(tmp_path / "images", 6, 3)
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        archive.add(source, "images")
    for name, path in (("a", source), ("b", tmp_path / "images.tar")):
        assert mpo_shards([str(path), str(tmp_path / name), "--images", "4"]) == 0
    assert "train-000001.tar: 2 images" in capsys.readouterr().out
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    assert mpo_shards([str(source), str(tmp_path / "a")]) == 2
    assert "there are some already" in capsys.readouterr().err
    for wrong, what in (
        ([str(tmp_path / "absent"), str(tmp_path / "c")], "it is not there"),
        ([str(source / "train"), str(tmp_path / "c")], "it has no images in train/CLASS/*"),
        ([str(source), str(tmp_path / "c"), "--images", "0"], "allowed is 1 to 1000000"),
    ):
        assert mpo_shards(wrong) == 2
        assert what in capsys.readouterr().err
