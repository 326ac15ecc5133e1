"""Event data sets, cut into frames of two polarity channels."""

from __future__ import annotations

import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from mpo_snn.data.framing import Events, frame
from mpo_snn.data.npz_archive import read_arrays
from mpo_snn.data.part import Part
from mpo_snn.data.scaling import Scaling
from mpo_snn.data.settings import DataSettings
from mpo_snn.data.source import wanted_path
from mpo_snn.errors import DataError

_SIZE = 34
_FULL = {"train": 60_000, "test": 10_000}
_CLASSES = tuple("0123456789")
_SOURCE = "www.garrickorchard.com/datasets/n-mnist"


def load(settings: DataSettings, timesteps: int, part: Literal["train", "test"]) -> Part:
    """One split as frames, (N, time, 2, height, width), counts of events as bytes.

    Raises:
        DataError: if there is no path, nothing usable at it, or its content is not this data set.
    """
    path = wanted_path(settings, _SOURCE)
    if settings.normalize:
        raise DataError(f"{settings.name}: frames hold counts of events; leave out data.normalize.")
    if path.is_dir() and len(npz := list(path.glob("*.npz"))) == 1:
        path = npz[0]
    if not zipfile.is_zipfile(path):
        raise DataError(
            f"cannot use data set '{settings.name}' from '{path}': it is no .npz archive of events."
        )
    x, y = _read(path, part, settings, timesteps)
    words = f"events per pixel and polarity in {timesteps} steps of equal " + (
        "length" if settings.framing == "time" else "number of events"
    )
    title = "N-MNIST" if len(y) == _FULL[part] else "N-MNIST subset"
    return Part(x, y, _CLASSES, title, Scaling(1.0), words)


def _read(
    path: Path, part: str, settings: DataSettings, timesteps: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Recordings one after another: {part}_x, _y, _p, _t of all events, offsets, label."""
    names = tuple(f"{part}_{key}" for key in ("x", "y", "p", "t", "offsets", "label"))
    x, y, p, t, offsets, label = read_arrays(path, names)
    found = []
    if len({len(x), len(y), len(p), len(t)}) > 1:
        found.append(f"x, y, p, t hold {len(x)}, {len(y)}, {len(p)}, {len(t)} events.")
    elif len(offsets) != len(label) + 1 or offsets[0] != 0 or offsets[-1] != len(x):
        found.append(f"offsets do not cut {len(x)} events into {len(label)} recordings.")
    elif np.any(np.diff(offsets) <= 0):
        found.append("a recording has no events.")
    if len(label) == 0:
        found.append("the split is empty.")
    elif label.min() < 0 or label.max() >= len(_CLASSES):
        found.append(
            f"labels run from {label.min()} to {label.max()}, allowed is 0 to {len(_CLASSES) - 1}."
        )
    if len(x) and (max(x.max(), y.max()) >= _SIZE or min(x.min(), y.min()) < 0):
        found.append(f"events lie outside of {_SIZE}x{_SIZE} pixels.")
    if found:
        raise DataError(
            f"cannot use '{path}'", [f"'{path}', {part} split: {finding}" for finding in found]
        )
    shape = (2, _SIZE, _SIZE)
    frames = [
        frame(Events(x[a:b], y[a:b], p[a:b], t[a:b]), timesteps, shape, settings.framing)
        for a, b in pairwise(offsets)
    ]
    return torch.from_numpy(np.stack(frames)), torch.from_numpy(label.astype(np.int64))
