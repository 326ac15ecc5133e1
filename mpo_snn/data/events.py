"""Event data sets, cut into frames of their polarities."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mpo_snn.data.framing import Events, frame
from mpo_snn.data.known import KNOWN
from mpo_snn.data.npz_archive import read_arrays
from mpo_snn.data.part import Part
from mpo_snn.data.part_name import PartName
from mpo_snn.data.scaling import Scaling
from mpo_snn.data.settings import DataSettings
from mpo_snn.data.source import wanted_path
from mpo_snn.data.tonic_files import read_recordings
from mpo_snn.errors import DataError

LONGEST = 2**40
"""Microseconds (some 300 hours) beyond which the times of a recording are damage."""


@dataclass(frozen=True)
class Sensor:
    """An event data set of public record.

    Attributes:
        title: what it is called.
        classes: names in the order of the labels.
        shape: (polarities, height, width) of the sensor.
        recordings: in the training and the test split.
        source: where it can be had.
    """

    title: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    recordings: tuple[int, int]
    source: str


_SPOKEN = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_GERMAN = ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")
_GESTURES = (
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter-clockwise",
    "left arm clockwise",
    "left arm counter-clockwise",
    "arm roll",
    "air drums",
    "air guitar",
    "other gestures",
)
SENSORS = {
    "nmnist": Sensor(
        "N-MNIST",
        tuple("0123456789"),
        (2, 34, 34),
        (60_000, 10_000),
        "www.garrickorchard.com/datasets/n-mnist",
    ),
    "dvs128_gesture": Sensor(
        "DVS128 Gesture", _GESTURES, (2, 128, 128), (1077, 264), "research.ibm.com/dvsgesture"
    ),
    "cifar10_dvs": Sensor(
        "CIFAR10-DVS",
        KNOWN["cifar10"].classes,
        (2, 128, 128),
        (9000, 1000),
        "figshare.com/articles/dataset/CIFAR10-DVS_New/4724671",
    ),
    "shd": Sensor(
        "SHD",
        _SPOKEN + _GERMAN,
        (1, 1, 700),
        (8156, 2264),
        "zenkelab.org/resources/spiking-heidelberg-datasets-shd",
    ),
}


def load(settings: DataSettings, timesteps: int, part: PartName) -> Part:
    """One split as frames, (N, time, polarities, height, width), counts of events as bytes.

    Raises:
        DataError: if there is no path, nothing usable at it, or its content is not this data set.
    """
    sensor = SENSORS[settings.name]
    path = wanted_path(settings, sensor.source)
    if settings.normalize:
        raise DataError(f"{settings.name}: frames hold counts of events; leave out data.normalize.")
    if path.is_dir() and len(npz := list(path.glob("*.npz"))) == 1:
        path = npz[0]
    if settings.name == "nmnist" and zipfile.is_zipfile(path):
        recordings = _from_npz(path, part, sensor)
    else:
        recordings = read_recordings(path, settings.name, part)
    shape = _frame_shape(settings, sensor)
    frames: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for events, label in recordings:
        _check(events, label, sensor, f"'{path}', {part} split, recording {len(labels)}")
        small = events._replace(
            x=_scaled(events.x, sensor.shape[2], shape[2]),
            y=_scaled(events.y, sensor.shape[1], shape[1]),
        )
        frames.append(frame(small, timesteps, shape, settings.framing))
        labels.append(label)
    if not labels:
        raise DataError(f"cannot use '{path}', {part} split: the split is empty.")
    step = "length" if settings.framing == "time" else "number of events"
    words = f"events per pixel and polarity, {timesteps} steps of equal {step}"
    if shape != sensor.shape:
        words += f", {sensor.shape[1]}x{sensor.shape[2]} pixels summed to {shape[1]}x{shape[2]}"
    whole = len(labels) == sensor.recordings[part == "test"]
    title = sensor.title if whole else f"{sensor.title} subset"
    x, y = torch.from_numpy(np.stack(frames)), torch.tensor(labels, dtype=torch.int64)
    return Part(x, y, sensor.classes, title, Scaling(1.0), words)


def _frame_shape(settings: DataSettings, sensor: Sensor) -> tuple[int, int, int]:
    polarities, height, width = sensor.shape
    if settings.size is None:
        return sensor.shape
    if height != width or settings.size > width:
        raise DataError(
            f"data.size is {settings.size}, allowed for {sensor.title} is"
            + (f" up to {width}." if height == width else " null.")
        )
    return polarities, settings.size, settings.size


def _scaled(place: NDArray[np.int64], before: int, after: int) -> NDArray[np.int64]:
    return place.astype(np.int64) * after // before


def _check(events: Events, label: int, sensor: Sensor, where: str) -> None:
    found = []
    if not len(events.t):
        found.append("it has no events.")
    else:
        polarities, height, width = sensor.shape
        for name, values, size in (
            ("x", events.x, width),
            ("y", events.y, height),
            ("p", events.p, polarities),
        ):
            low, high = int(values.min()), int(values.max())
            if low < 0 or high >= size:
                found.append(f"{name} runs from {low} to {high}, allowed is 0 to {size - 1}.")
        if bool(np.any(np.diff(events.t.astype(np.int64)) < 0)):
            found.append("its events are not in the order of time.")
        elif int(events.t[-1]) - int(events.t[0]) > LONGEST:
            found.append(f"it lasts {int(events.t[-1]) - int(events.t[0])} microseconds.")
    if not 0 <= label < len(sensor.classes):
        found.append(f"its label is {label}, allowed is 0 to {len(sensor.classes) - 1}.")
    if found:
        raise DataError(f"cannot use {where}", [f"{where}: {finding}" for finding in found])


def _from_npz(path: Path, part: PartName, sensor: Sensor) -> Iterator[tuple[Events, int]]:
    """Recordings one after another: {part}_x, _y, _p, _t of all events, offsets, label."""
    names = tuple(f"{part}_{key}" for key in ("x", "y", "p", "t", "offsets", "label"))
    arrays = read_arrays(path, names)
    where = f"'{path}', {part} split"
    found = [
        f"{name} is {array.dtype} of shape {array.shape}, allowed is a list of whole numbers."
        for name, array in zip(names, arrays, strict=True)
        if array.dtype.kind not in "iu" or array.ndim != 1
    ]
    if found:
        raise DataError(f"cannot use {where}", [f"{where}: {finding}" for finding in found])
    x, y, p, t, offsets, label = arrays
    if len({len(x), len(y), len(p), len(t)}) > 1:
        found.append(f"x, y, p, t hold {len(x)}, {len(y)}, {len(p)}, {len(t)} events.")
    elif len(offsets) != len(label) + 1 or offsets[0] != 0 or offsets[-1] != len(x):
        found.append(f"offsets do not cut {len(x)} events into {len(label)} recordings.")
    elif np.any(np.diff(offsets) <= 0):
        found.append("a recording has no events.")
    if len(label) and not 0 <= label.min() <= label.max() < len(sensor.classes):
        found.append(
            f"labels run from {label.min()} to {label.max()}, allowed is 0 to"
            f" {len(sensor.classes) - 1}."
        )
    if found:
        raise DataError(f"cannot use {where}", [f"{where}: {finding}" for finding in found])
    for number, (a, b) in enumerate(pairwise(offsets)):
        yield Events(x[a:b], y[a:b], p[a:b], t[a:b]), int(label[number])
