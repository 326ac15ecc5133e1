"""A data set as two splits of samples, in memory or read when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, cast

import torch
from torch import Tensor

from mpo_snn.data.augment import Augment
from mpo_snn.data.scaling import Scaling
from mpo_snn.data.settings import DataSettings


class Samples(Protocol):
    """Samples that give float32 tensors for a slice or a list of indices; a Tensor is one."""

    @property
    def shape(self) -> torch.Size:
        """(N, *features)."""

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, which: slice | list[int], /) -> Tensor:
        """These samples, (len(which), *features)."""


class Stored(Samples, Protocol):
    """Samples that are stored as something else than what the network is shown."""

    @property
    def scaling(self) -> Scaling:
        """How stored values become the input of the network."""

    def as_stored(self, which: list[int], training: bool = False) -> Tensor:
        """These samples before they are scaled; in training, parts of them at random."""


def as_stored(
    samples: Samples, which: list[int], augment: Augment | None = None, training: bool = False
) -> Tensor:
    """These samples as they are stored, in training augmented; `scaling_of` goes on from there."""
    if isinstance(samples, Tensor):
        x = samples[index_on(samples.device, which)]
    else:
        x = cast(Stored, samples).as_stored(which, training)
    return x if augment is None else augment(x)


def scaling_of(samples: Samples) -> Scaling | None:
    """How stored samples become the input of the network; None if they are it already."""
    return None if isinstance(samples, Tensor) else cast(Stored, samples).scaling


def index_on(device: torch.device, which: list[int]) -> Tensor | list[int]:
    """Indices for a tensor on a device, which is not waited for."""
    if device.type == "cpu":
        return which
    return torch.tensor(which).to(device, non_blocking=True)


@dataclass(frozen=True)
class Pixels:
    """Pixels or counts, held as bytes and scaled to float32 when they are asked for.

    Attributes:
        stored: uint8, (N, *features).
        scaling: how they become the input of the network.
    """

    stored: Tensor
    scaling: Scaling

    @property
    def shape(self) -> torch.Size:
        """(N, *features)."""
        return self.stored.shape

    def __len__(self) -> int:
        """N."""
        return len(self.stored)

    def __getitem__(self, which: slice | list[int]) -> Tensor:
        """These samples, scaled."""
        return self.scaling.apply(self.stored[which])

    def as_stored(self, which: list[int], training: bool = False) -> Tensor:
        """These samples before they are scaled."""
        return self.stored[index_on(self.stored.device, which)]


@dataclass(frozen=True)
class Dataset:
    """Samples and labels of a training and a test split.

    Attributes:
        name: the name it was loaded by.
        train_x: samples of the training split, (N, channels, height, width) or, for events,
            (N, time, channels, height, width); float32 when indexed.
        train_y: their classes, int64, (N,), from 0 to len(class_names) - 1.
        test_x: samples of the split that accuracy is measured on, likewise.
        test_y: their classes.
        class_names: what each class is called.
        input_scaling: how raw values became these, in words; a graph's metadata carries it.
        title: what the data is called in a report; empty means the name.
        evaluated_on: what test_x is: the `test` split, or the `validation` part that was held out
            of the training data.
        is_framed: whether samples have a time axis.
        settings: what it was loaded by.
        value_scaling: `input_scaling` without how samples were brought to a graph's shape; empty
            means the same.
        train_index: place of each sample of train_x in the training split as the loader has it,
            from 0, (N,); None where nobody said.
        test_index: likewise of test_x, in the test split; in the training split for a part that was
            held out of it.
    """

    name: str
    train_x: Samples
    train_y: Tensor
    test_x: Samples
    test_y: Tensor
    class_names: tuple[str, ...]
    input_scaling: str
    title: str = ""
    evaluated_on: Literal["test", "validation"] = "test"
    is_framed: bool = False
    settings: DataSettings | None = None
    value_scaling: str = ""
    train_index: Tensor | None = None
    test_index: Tensor | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample at one timestep, (channels, height, width)."""
        return tuple(self.test_x.shape[2 if self.is_framed else 1 :])

    @property
    def description(self) -> str:
        """Title and split, for a report: `CIFAR-10 (JPEG q75), test split`."""
        return f"{self.title or self.name}, {self.evaluated_on} split"
