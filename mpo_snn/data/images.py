"""Image data sets read from a file or folder, whose format its content tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from mpo_snn.data.image_files import SIZE, ImageFiles
from mpo_snn.data.known import KNOWN, SOURCES, Known
from mpo_snn.data.part import Part
from mpo_snn.data.scaling import Scaling
from mpo_snn.data.settings import DataSettings
from mpo_snn.data.shards import Shards
from mpo_snn.data.source import Images, PartName, find_source
from mpo_snn.errors import DataError

PIXEL_MAX = 255.0
IMAGENET_CLASSES = 1000
MOST_CLASSES = 100_000
"""Of data that does not name its classes: a larger label is damage."""
SHOWN = 5
"""How many of several findings of a kind are named."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def load(settings: DataSettings, timesteps: int, part: Literal["train", "test"]) -> Part:
    """One split of an image data set.

    Raises:
        DataError: if there is no path, nothing usable at it, or its content is not this data set.
    """
    known = KNOWN.get(settings.name)
    read = find_source(settings, known, SOURCES.get(settings.name))
    images = read(part)
    where = f"{images.where}, {part} split"
    classes = images.classes or (known.classes if known else _numbered(images.y))
    if known is not None:
        classes = known.spelling(classes)
    largest = len(classes) - 1
    if known is None and not images.classes and _are_out_of_range(images.y, largest):
        largest = _largest_label(read, part)
    findings = _findings(settings, images, classes, known, largest)
    if part == "train" and known is None and not images.classes:
        findings += _absent(images.y)
    if findings:
        raise DataError(f"cannot use {where}", [f"{where}: {finding}" for finding in findings])
    x, divisor = images.x, PIXEL_MAX
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    if isinstance(x, ImageFiles | Shards):
        x = replace(x, size=settings.size or SIZE, resized_crop=settings.resized_crop)
        if settings.normalize:
            mean, std = IMAGENET_MEAN, IMAGENET_STD
    else:
        divisor = PIXEL_MAX if x.dtype == torch.uint8 else 1.0
        mean, std = _statistics(settings, known, x, divisor)
    named = known.title if known else "ImageNet" if settings.name == "imagenet" else images.title
    title = named + (f" ({images.note})" if images.note else "")
    return Part(x, images.y, classes, title, Scaling(divisor, mean, std))


def _findings(
    settings: DataSettings,
    images: Images,
    classes: tuple[str, ...],
    known: Known | None,
    largest: int,
) -> list[str]:
    """What keeps these images from being this data set, or any data set."""
    x, y, found = images.x, images.y, []
    if not len(y):
        return ["the split is empty."]
    if len(x) != len(y):
        found.append(f"{len(x)} images have {len(y)} labels.")
    if _are_out_of_range(y, largest):
        wrong = ((y < 0) | (y > largest)).nonzero()[:, 0]
        found.append(
            f"{len(wrong)} labels are out of range, the first is {int(y[wrong[0]])} of sample"
            f" {int(wrong[0])}; allowed is 0 to {largest}."
        )
    if isinstance(x, ImageFiles | Shards):
        if settings.name == "imagenet" and len(classes) != IMAGENET_CLASSES:
            found.append(
                f"it has {len(classes)} classes, ImageNet has {IMAGENET_CLASSES}; for other data"
                " use data.name imagefolder."
            )
        elif known is not None:
            found.append(f"it holds image files, {known.title} is read from its published files.")
        return found
    if settings.size is not None:
        found.append(f"data.size is {settings.size}, but only image files are resized.")
    if settings.resized_crop:
        found.append("data.resized_crop is for image files; use data.crop.")
    if settings.name in ("imagenet", "imagefolder"):
        found.append("it holds no image files; for an archive use data.name archive.")
    if x.dtype == torch.float32 and not bool(torch.isfinite(x).all()):
        broken = (~torch.isfinite(x)).flatten(1).any(1).nonzero()[:, 0]
        found.append(f"{len(broken)} images hold NaN or infinity, the first is {int(broken[0])}.")
    if known is None:
        return found
    if len(classes) != len(known.classes):
        found.append(f"it has {len(classes)} classes, {known.title} has {len(known.classes)}.")
    elif classes != known.classes:
        first = next(i for i, name in enumerate(classes) if name != known.classes[i])
        found.append(
            f"class {first} is '{classes[first]}', in {known.title} it is '{known.classes[first]}';"
            " for other data use data.name archive."
        )
    if tuple(x.shape[1:]) != known.shape:
        found.append(
            f"images have shape {tuple(x.shape[1:])}, those of {known.title} {known.shape}."
        )
    return found


def _are_out_of_range(y: Tensor, largest: int) -> bool:
    return bool(len(y)) and (int(y.min()) < 0 or int(y.max()) > largest)


def _largest_label(read: Callable[[PartName], Images], part: Literal["train", "test"]) -> int:
    """The largest label allowed where the classes are numbered and those of one split are wrong.

    The training split has every class. Where it is wrong itself, or cannot be read, labels are as
    large as they may be in any data.
    """
    if part == "train":
        return MOST_CLASSES - 1
    try:
        y = read("train").y
    except DataError:
        return MOST_CLASSES - 1
    if not len(y) or _are_out_of_range(y, MOST_CLASSES - 1):
        return MOST_CLASSES - 1
    return int(y.max())


def _absent(y: Tensor) -> list[str]:
    """Numbers below the largest label that no sample has: classes that nobody could learn."""
    if not len(y) or int(y.min()) < 0 or int(y.max()) >= MOST_CLASSES:
        return []
    absent = (torch.bincount(y) == 0).nonzero()[:, 0].tolist()
    if not absent:
        return []
    first = ", ".join(str(label) for label in absent[:SHOWN])
    more = f" and {len(absent) - SHOWN} more" if len(absent) > SHOWN else ""
    classes = int(y.max()) + 1 - len(absent)
    return [
        f"no sample has the label {first}{more}, and the largest label is {int(y.max())}: number"
        f" the classes without gaps, here 0 to {classes - 1}."
    ]


def _statistics(
    settings: DataSettings, known: Known | None, x: Tensor, divisor: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel: published, or those of the training split."""
    if not settings.normalize:
        return (), ()
    if known is not None:
        return known.mean, known.std
    channels = x.transpose(0, 1).flatten(1)
    mean = [float(channel.double().mean()) / divisor for channel in channels]
    std = [float(channel.double().std(correction=0)) / divisor for channel in channels]
    return tuple(round(v, 4) for v in mean), tuple(max(round(v, 4), 1e-4) for v in std)


def _numbered(y: Tensor) -> tuple[str, ...]:
    count = min(int(y.max()) + 1, MOST_CLASSES) if len(y) else 0
    return tuple(str(label) for label in range(count))
