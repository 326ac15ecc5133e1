"""Images in one .npz file: arrays x_train, y_train, x_test, y_test."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mpo_snn.data.label_range import beyond_int64
from mpo_snn.data.part_name import PartName
from mpo_snn.data.source import Images
from mpo_snn.errors import DataError

MOST_CHANNELS = 4
_DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    SyntaxError,  # of a header
    TypeError,
    tokenize.TokenError,
)
"""What NumPy raises on damaged files."""


def read(path: Path, part: PartName) -> Images:
    """One split: images (N, H, W), (N, H, W, C) or (N, C, H, W), or features (N, F).

    They are uint8 or floating point. Features become a row of one channel, (N, 1, 1, F), as events
    of channels are.

    Raises:
        DataError: if the file is damaged, or an array is missing or has a shape or type of its own.
    """
    x, y = read_arrays(path, (f"x_{part}", f"y_{part}"))
    found = []
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        found.append(f"x_{part} is {x.dtype}, allowed are uint8 and floating point.")
    if x.ndim not in (2, 3, 4):
        found.append(f"x_{part} has shape {x.shape}, allowed is (N, F), (N, H, W) or (N, H, W, C).")
    elif x.ndim == 4 and min(x.shape[1], x.shape[3]) > MOST_CHANNELS:
        found.append(
            f"x_{part} has shape {x.shape}: which axis is that of the channels? Allowed are"
            f" {MOST_CHANNELS} channels at most, second or last."
        )
    if y.dtype.kind not in "iu" or y.squeeze().ndim > 1:
        found.append(f"y_{part} is {y.dtype} of shape {y.shape}, allowed are N whole numbers.")
    elif beyond := beyond_int64(y.reshape(-1)):
        found.append(f"y_{part} has {beyond}.")
    if found:
        raise DataError(f"cannot use '{path}'", [f"'{path}': {finding}" for finding in found])
    labels = torch.from_numpy(y.reshape(-1).astype(np.int64))
    return Images(_channels_first(x), labels, (), path.stem, f"'{path}'")


def read_arrays(path: Path, names: tuple[str, ...]) -> list[NDArray[np.generic]]:
    """Arrays of an .npz file; no code in it is run.

    Raises:
        DataError: if the file is damaged or an array is missing.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in names if name not in archive.files]
            if missing:
                raise DataError(
                    f"cannot use '{path}': it has no array {', '.join(missing)}; it holds"
                    f" {', '.join(archive.files) or 'nothing'}."
                )
            arrays = [archive[name] for name in names]
    except DataError:
        raise
    except _DAMAGE as error:
        raise DataError(
            f"cannot read '{path}': it is damaged ({' '.join(str(error).split())})."
        ) from error
    except (RuntimeError, NotImplementedError) as error:
        raise DataError(f"cannot read '{path}': {error}.") from error
    other = [
        name for name, array in zip(names, arrays, strict=True) if not isinstance(array, np.ndarray)
    ]
    if other:
        raise DataError(f"cannot use '{path}': {', '.join(other)} is no array of NumPy's.")
    return arrays


def _channels_first(x: NDArray[np.generic]) -> Tensor:
    """(N, C, H, W) from any of the three layouts, of which the few channels tell, or features."""
    with np.errstate(over="ignore"):  # an infinity is told where values are checked
        stored = torch.from_numpy(x if x.dtype == np.uint8 else x.astype(np.float32))
    if stored.ndim == 2:
        return stored[:, None, None]
    if stored.ndim == 3:
        return stored[:, None]
    if stored.shape[1] > MOST_CHANNELS:
        return stored.permute(0, 3, 1, 2).contiguous()
    return stored
