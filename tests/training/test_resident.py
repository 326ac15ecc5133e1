"""Samples that lie in memory are kept on a GPU: all of them there, and the same batches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from mpo_snn.data.dataset import Dataset, Pixels, Samples
from mpo_snn.data.scaling import Scaling
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.training import loaders
from mpo_snn.training.batches import Batch, Share
from mpo_snn.training.loaders import loaders_of
from mpo_snn.training.recipe import DataSettings, OptimizerSettings, Recipe

RECIPE = Recipe(
    name="resident",
    epochs=1,
    timesteps=1,
    data=DataSettings("digits", workers=1, crop=1, flip=True),
    network=NetworkSettings("convnet", (4,)),
    optimizer=OptimizerSettings(batch_size=8),
)


def dataset(kind: str) -> Dataset:
    """21 and 7 samples of 3x5x5, each with its own label."""
    generator = torch.Generator().manual_seed(0)
    splits: list[Samples] = []
    for count in (21, 7):
        stored = torch.randint(256, (count, 3, 5, 5), generator=generator, dtype=torch.uint8)
        splits.append(Pixels(stored, Scaling(255.0)) if kind == "pixels" else stored / 255.0)
    train_y, test_y = torch.arange(21), torch.arange(7)
    return Dataset("drawn", splits[0], train_y, splits[1], test_y, tuple("abc"), "value / 255")


def stored(x: Samples) -> Tensor:
    found = x.stored if isinstance(x, Pixels) else x
    assert isinstance(found, Tensor)
    return found


def batches(loader: Any) -> list[Batch]:
    """What the loader gives, before it pins memory, which takes a GPU."""
    return [loader.dataset[indices] for indices in loader.sampler]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """The devices that samples were asked to go to; they go to torch's meta instead."""
    found: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    move = loaders._on

    def on(device: torch.device, dataset: Dataset) -> Dataset:
        found.append(device)
        return move(torch.device("meta"), dataset)

    monkeypatch.setattr(loaders, "_on", on)
    return found


@pytest.mark.parametrize("kind", ["float32", "pixels"])
def test_samples_and_labels_of_both_splits_are_moved(kind: str, asked: list[torch.device]) -> None:
    """To torch's device without values, whose tensors refuse to meet those of another."""
    there = dataset(kind)
    recipe = replace(RECIPE, data=replace(RECIPE.data, crop=0, flip=False))
    pair = loaders_of(recipe, there, Share(), "cuda")
    assert asked == [torch.device("cuda", 1)]
    for loader, x in zip(pair, (there.train_x, there.test_x), strict=True):
        samples: Any = loader.dataset
        assert stored(samples.x).is_meta and samples.y.is_meta
        assert isinstance(samples.x, Pixels) == (kind == "pixels")
        assert loader.num_workers == 0  # a worker cannot read what lies on a GPU
        found = batches(loader)
        assert all(one.is_meta and label.is_meta for one, label in found)
        assert sum(len(label) for _, label in found) == len(x)
        assert all(one.dtype == stored(x).dtype for one, _ in found)
    assert not stored(there.train_x).is_meta and not there.train_y.is_meta


@pytest.mark.parametrize("kind", ["float32", "pixels"])
def test_what_was_moved_gives_the_same_batches(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU where there is one; elsewhere copies on the CPU stand for it."""
    there, device = dataset(kind), "cuda" if torch.cuda.is_available() else "cpu"
    expected = [batches(loader) for loader in loaders_of(RECIPE, there, Share(1, 2))]
    move = loaders._on
    if device == "cpu":
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(loaders, "_on", lambda _, given: move(torch.device("cpu"), given))
    pair = loaders_of(RECIPE, there, Share(1, 2), "cuda")
    for loader, same in zip(pair, expected, strict=True):
        found = batches(loader)
        assert len(found) == len(same)
        for one, other in zip(found, same, strict=True):
            assert all(a.device.type == device for a in one)
            assert all(torch.equal(a.cpu(), b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("why", ["autoaugment", "too large", "on a CPU"])
def test_what_is_not_kept_there_stays_in_memory(
    why: str, asked: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    there, device = dataset("pixels"), "cpu" if why == "on a CPU" else "cuda"
    recipe = RECIPE
    if why == "autoaugment":
        recipe = replace(recipe, data=replace(recipe.data, autoaugment="cifar10"))
    if why == "too large":
        monkeypatch.setattr(loaders, "MOST_RESIDENT", 21 * 75 - 1)
    for loader in loaders_of(recipe, there, Share(), device):
        samples: Any = loader.dataset
        assert stored(samples.x).device.type == samples.y.device.type == "cpu"
        assert loader.num_workers == 1 and loader.pin_memory == (device == "cuda")
    assert asked == []
