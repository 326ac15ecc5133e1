"""CIFAR-10, kept on the device as bytes, augmented there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from mpo_snn.data.images import load
from mpo_snn.data.known import KNOWN
from mpo_snn.data.part_name import PartName
from mpo_snn.data.scaling import Scaling
from mpo_snn.data.settings import DataSettings
from mpo_snn.device_constants import constant
from mpo_snn.operators import declare_torchvision_operators

CIFAR10 = KNOWN["cifar10"]
SCALING = Scaling(255.0, CIFAR10.mean, CIFAR10.std)
SIZE, PADDING = 32, 4
PARTS: tuple[PartName, ...] = ("train", "test")
POLICY_GROUP = 100
"""Neighbours in the file, to which AutoAugment does the same in an epoch."""


@dataclass(frozen=True)
class Images:
    """A split on a device.

    Attributes:
        pixels: (N, height, width, 3) uint8.
        labels: (N,) int64.
        title: what was read, e.g. `CIFAR-10 (JPEG q75)`.
    """

    pixels: Tensor
    labels: Tensor
    title: str


def load_split(folder: Path, split: PartName, device: str, limit: int | None) -> Images:
    """The first `limit` images of a split.

    Args:
        folder: what `--data.path` of `mpo-train` takes: the published batches, or Parquet files.
        split: which.
        device: where the images go.
        limit: None takes all.

    Raises:
        DataError: if there is no such data, or it is damaged, or not CIFAR-10.
    """
    part = load(DataSettings(name="cifar10", path=str(folder)), 1, split)
    assert isinstance(part.x, Tensor), "CIFAR-10 is never read from image files"
    pixels = part.x[:limit].permute(0, 2, 3, 1).contiguous()
    return Images(pixels.to(device), part.y[:limit].to(device), part.title)


def batches(images: Images, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Normalised images (size, 3, 32, 32) in channels-last memory, in order, and their labels."""
    for start in range(0, len(images.labels), size):
        chosen = slice(start, start + size)
        yield _normalised(images.pixels[chosen]), images.labels[chosen]


def augmented_batches(
    images: Images,
    size: int,
    generator: torch.Generator,
    cutout: int = 0,
    autoaugment: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The same shuffled, in equal batches, each image cropped at random out of itself, zero-padded.

    Each is mirrored at random too, and a square of `cutout` pixels is blanked at a random place.
    AutoAugment (CIFAR-10's policy) draws from torch's global random numbers, once for every
    `POLICY_GROUP` images; they are in different batches.

    Args:
        images: of a split.
        size: of a batch.
        generator: on the CPU.
        cutout: side of the square, 0 for none.
        autoaugment: whether to.
    """
    count, device = len(images.labels), images.pixels.device
    order = torch.randperm(count, generator=generator).to(device)
    corner = torch.randint(2 * PADDING + 1, (2, count, 1), generator=generator).to(device)
    mirrored = (torch.rand(count, 1, generator=generator) < 0.5).to(device)
    centre = torch.randint(SIZE, (2, count, 1), generator=generator).to(device)
    along = torch.arange(SIZE, device=device)
    rows = (corner[0] + along)[:, :, None]
    columns = (corner[1] + torch.where(mirrored, SIZE - 1 - along, along))[:, None, :]
    border = (0, 0, *[PADDING] * 4)
    cropped = functional.pad(images.pixels, border)[
        torch.arange(count, device=device)[:, None, None], rows, columns
    ]
    # What lies outside the image shall be 0 after the normalisation.
    inside = functional.pad(torch.ones(SIZE, SIZE, dtype=torch.bool, device=device), border[2:])
    shown = inside[rows, columns]
    if cutout:
        row, column = (2 * (along - c).abs() >= cutout for c in centre)
        shown &= row[:, :, None] | column[:, None, :]
    if autoaugment:
        policy = _policy()
        for group in cropped.split(POLICY_GROUP):
            group.copy_(policy(group.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
    for start in range(0, count - size + 1, size):
        chosen = order[start : start + size]
        yield _normalised(cropped[chosen], shown[chosen]), images.labels[chosen]


def _policy() -> Callable[[Tensor], Tensor]:
    declare_torchvision_operators()
    from torchvision.transforms import v2

    policy: Callable[[Tensor], Tensor] = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)
    return policy


def _normalised(pixels: Tensor, shown: Tensor | None = None) -> Tensor:
    mean, std = (constant(v, torch.float32, pixels.device) for v in (SCALING.mean, SCALING.std))
    scaled = (pixels / 255.0 - mean) / std
    return (scaled if shown is None else scaled * shown[..., None]).permute(0, 3, 1, 2)
