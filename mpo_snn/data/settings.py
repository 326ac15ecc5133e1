"""Settings of the data of a run, as plain values; nothing heavy is imported here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mpo_snn.data import dataset_names
from mpo_snn.settings import refuse

MOST_WORKERS = 128
"""Each worker is a process of its own."""

EVENT_DATA = ("nmnist", "dvs128_gesture", "cifar10_dvs", "shd")
"""Data sets of events, whose samples are frames over time."""

SHOWN = ("validation", "normalize", "framing", "size")
"""Settings that decide which samples a trained network is shown, and how; a graph carries them."""


@dataclass(frozen=True)
class DataSettings:
    """Which data to train and test on, and what is done with it.

    Attributes:
        name: name of the data set; `archive` is any .npz file or Parquet folder of your own.
        path: file or folder that holds it, in any of the formats of docs/data.md, or the address
            of shards (s3://bucket/folder); null for what comes with the package.
        train_limit: train on this many samples at most, every class in its share; null takes all.
        test_limit: likewise for the split that accuracy is measured on.
        validation: how much of the training data is held out, a share below 1 or a number of
            samples; where it is above 0, accuracy is measured on that and the test split is not
            even read. The same samples in every run, every class in its share.
        normalize: whether the mean is taken from every channel, which is then divided by its
            standard deviation; otherwise values lie in [0, 1].
        crop: in training, pixels of padding out of which a random crop is taken; 0 for none.
        resized_crop: in training, a random part of the picture at a random size; for image files.
        flip: in training, mirror half of the samples left to right.
        autoaugment: in training, the policy of AutoAugment.
        cutout: in training, side of a square that is blanked, in pixels; 0 for none.
        size: height and width that image files and events are brought to; null keeps those of the
            sensor, and takes 224 for image files.
        workers: processes that read and augment batches beside the training; 0 for none.
        buffer: images that a process shuffles among each other while it streams shards.
        cache: folder in which shards of an address are kept that accuracy is measured on.
        download: whether a data set that is not at `path` may be fetched to there.
        framing: how events are cut into frames: `time`, steps of equal length; `count`, steps of
            an equal number of events.
    """

    name: str = "digits"
    path: str | None = None
    train_limit: int | None = None
    test_limit: int | None = None
    validation: float = 0.0
    normalize: bool = False
    crop: int = 0
    resized_crop: bool = False
    flip: bool = False
    autoaugment: Literal["none", "cifar10", "imagenet", "svhn"] = "none"
    cutout: int = 0
    size: int | None = None
    workers: int = 0
    buffer: int = 1000
    cache: str | None = None
    download: bool = False
    framing: Literal["time", "count"] = "time"

    @property
    def is_framed(self) -> bool:
        """Whether a sample is one frame for every timestep instead of one image."""
        return self.name in EVENT_DATA

    @property
    def evaluated_on(self) -> Literal["test", "validation"]:
        """The split that accuracy is measured on."""
        return "validation" if self.validation else "test"

    @property
    def shown(self) -> dict[str, Any]:
        """The values of `SHOWN`."""
        return {key: getattr(self, key) for key in SHOWN}

    def limited(self, samples: int | None) -> DataSettings:
        """With so many samples of the test split at most; None leaves them as they are.

        Raises:
            RecipeError: if samples is below 1.
        """
        if samples is None:
            return self
        return replace(self, test_limit=min(samples, self.test_limit or samples))

    def __post_init__(self) -> None:
        """Refuse what is unknown or out of range; a `Path` is taken for its text."""
        if isinstance(self.path, Path):
            object.__setattr__(self, "path", str(self.path))
        found = []
        if self.name not in dataset_names():
            hint = (
                " A file or folder of yours is archive or imagefolder, and its place is given with"
                f" --data.path {self.name}."
                if _is_place(self.name)
                else ""
            )
            found.append(
                f"data.name is '{self.name}', allowed is {', '.join(dataset_names())}.{hint}"
            )
        if self.path is not None and (not self.path.strip() or "\0" in self.path):
            what = "holds a NUL byte" if self.path.strip() else "is empty"
            found.append(f"data.path {what}, allowed is a file, folder or address, or null.")
        for key in ("train_limit", "test_limit"):
            limit = getattr(self, key)
            if limit is not None and limit < 1:
                found.append(f"data.{key} is {limit}, allowed is 1 or more, or null.")
        for key in ("crop", "cutout", "workers"):
            if getattr(self, key) < 0:
                found.append(f"data.{key} is {getattr(self, key)}, allowed is 0 or more.")
        if self.buffer < 1:
            found.append(f"data.buffer is {self.buffer}, allowed is 1 or more.")
        if self.workers > MOST_WORKERS:
            found.append(f"data.workers is {self.workers}, allowed is up to {MOST_WORKERS}.")
        if self.size is not None and self.size < 1:
            found.append(f"data.size is {self.size}, allowed is 1 or more, or null.")
        if self.is_framed and self.autoaugment != "none":
            found.append("data.autoaugment is for images, not for frames of events.")
        if self.is_framed and self.resized_crop:
            found.append("data.resized_crop is for image files, not for frames of events.")
        if self.framing != "time" and not self.is_framed:
            found.append(f"data.framing is {self.framing}, but {self.name} holds images.")
        is_share = 0.0 <= self.validation < 1.0
        if not is_share and not (self.validation < math.inf and self.validation % 1 == 0):
            found.append(
                f"data.validation is {self.validation:g}, allowed is a share from 0 to below 1 or"
                " a whole number of samples."
            )
        elif self.validation < 0:
            found.append(f"data.validation is {self.validation:g}, allowed is 0 or more.")
        refuse("data settings", found)


def _is_place(name: str) -> bool:
    """Whether what was given as a name is a file or folder."""
    return "\0" not in name and bool(name) and (bool(Path(name).suffix) or Path(name).exists())


def settings_shown(
    name: str, path: str | None, made_for: str | None, values: Mapping[str, Any] | None
) -> DataSettings:
    """Settings of the data that a graph is to be run on.

    Args:
        name: of the data set.
        path: where it is.
        made_for: name of the data set that the graph was made for.
        values: its `SHOWN`, which count for no other data set.

    Raises:
        RecipeError: if a value is out of range.
    """
    if name != made_for or not values:
        return DataSettings(name, path)
    return DataSettings(name, path, **{key: values[key] for key in SHOWN if key in values})
