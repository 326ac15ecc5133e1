"""CIFAR-10 from Parquet files of JPEG bytes: decoded once, kept on the device, augmented there."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mpo_snn.data.known import KNOWN
from mpo_snn.data.scaling import Scaling
from mpo_snn.errors import DataError
from mpo_snn.files import replace_file
from mpo_snn.operators import declare_torchvision_operators

CIFAR10 = KNOWN["cifar10"]
SCALING = Scaling(255.0, CIFAR10.mean, CIFAR10.std)
SIZE, PADDING = 32, 4
POLICY_GROUPS = 16
"""Parts of a batch that draw their own operations of AutoAugment."""


@dataclass(frozen=True)
class Images:
    """A split on a device.

    Attributes:
        pixels: (N, height, width, 3) uint8.
        labels: (N,) int64.
    """

    pixels: Tensor
    labels: Tensor


def load_split(folder: Path, split: str, cache: Path, device: str, limit: int | None) -> Images:
    """The first `limit` images of a split; decoded pixels are kept in `cache` as .npz.

    Args:
        folder: has `train.parquet` and `test.parquet`, columns `image` (JPEG bytes) and `label`.
        split: `train` or `test`.
        cache: folder for the decoded pixels.
        device: where the images go.
        limit: None takes all.

    Raises:
        DataError: if the file is absent, or is not such a file.
    """
    import numpy as np

    kept = cache / f"{split}-{limit or 'all'}.npz"
    if not kept.exists():
        pixels, labels = _decode(folder / f"{split}.parquet", limit)
        with replace_file(kept) as scratch, scratch.open("wb") as stream:
            np.savez(stream, pixels=pixels, labels=labels)
    with np.load(kept) as arrays:
        pixels, labels = torch.from_numpy(arrays["pixels"]), torch.from_numpy(arrays["labels"])
    return Images(pixels.to(device), labels.long().to(device))


def _decode(path: Path, limit: int | None) -> tuple[object, object]:
    import numpy as np
    import pyarrow.parquet as parquet
    from PIL import Image

    def pixels(data: bytes) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    if not path.exists():
        raise DataError(f"there is no '{path}': --data needs a folder with train and test.parquet.")
    table = parquet.read_table(path)
    if not {"image", "label"} <= set(table.column_names):
        raise DataError(f"'{path}' has columns {table.column_names}, needed are image and label.")
    table = table.slice(0, limit)
    with ThreadPoolExecutor() as pool:
        decoded = list(pool.map(pixels, table["image"].to_pylist()))
    return np.stack(decoded), table["label"].to_numpy()


def batches(
    images: Images,
    size: int,
    generator: torch.Generator | None = None,
    cutout: int = 0,
    autoaugment: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Normalised images (size, 3, 32, 32) in channels-last memory, and their labels.

    With a generator (on the CPU) they come shuffled, in equal batches, each image cropped at
    random out of its zero-padded self, mirrored at random, and with a square of `cutout` pixels
    blanked at a random place; without, in order and as they are. AutoAugment (CIFAR-10's policy)
    draws from torch's global random numbers, once for every group of images.
    """
    count, device = len(images.labels), images.pixels.device
    mean = torch.tensor(SCALING.mean, device=device)
    std = torch.tensor(SCALING.std, device=device)
    if generator is None:
        for start in range(0, count, size):
            pixels = images.pixels[start : start + size]
            yield _normalised(pixels, mean, std), images.labels[start : start + size]
        return
    padded = torch.nn.functional.pad(images.pixels, (0, 0, *[PADDING] * 4))
    # What lies outside the image shall be 0 after the normalisation.
    inside = torch.nn.functional.pad(
        torch.ones(SIZE, SIZE, 1, device=device), (0, 0, *[PADDING] * 4)
    )
    order = torch.randperm(count, generator=generator).to(device)
    corner = torch.randint(2 * PADDING + 1, (2, count, 1), generator=generator).to(device)
    mirrored = (torch.rand(count, 1, generator=generator) < 0.5).to(device)
    centre = torch.randint(SIZE, (2, count, 1), generator=generator).to(device)
    along = torch.arange(SIZE, device=device)
    policy = _policy() if autoaugment else None
    for start in range(0, count - size + 1, size):
        chosen = order[start : start + size]
        rows = corner[0, chosen] + along
        columns = corner[1, chosen] + torch.where(mirrored[chosen], SIZE - 1 - along, along)
        rows, columns = rows[:, :, None], columns[:, None, :]
        shown = inside[rows, columns]
        if cutout:
            row, column = (2 * (along - c[chosen]).abs() >= cutout for c in centre)
            shown = shown * (row[:, :, None, None] | column[:, None, :, None])
        cropped = padded[chosen[:, None, None], rows, columns]
        if policy is not None:
            groups = cropped.permute(0, 3, 1, 2).chunk(POLICY_GROUPS)
            cropped = torch.cat([policy(group) for group in groups]).permute(0, 2, 3, 1)
        yield _normalised(cropped, mean, std, shown), images.labels[chosen]


def _policy() -> Callable[[Tensor], Tensor]:
    declare_torchvision_operators()
    from torchvision.transforms import v2

    policy: Callable[[Tensor], Tensor] = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)
    return policy


def _normalised(pixels: Tensor, mean: Tensor, std: Tensor, shown: Tensor | float = 1.0) -> Tensor:
    return ((pixels / 255.0 - mean) / std * shown).permute(0, 3, 1, 2)
