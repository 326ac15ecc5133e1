"""Images in files of their own, decoded when they are asked for: a folder or a tar for each class.

Layout, as torchvision's ImageFolder has it: train/<class>/* and val/<class>/* (or test/<class>/*),
in a folder or in one tar that is not compressed.
"""

from __future__ import annotations

import io
import math
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

import torch
from torch import Tensor

from mpo_snn.data.part_name import PartName
from mpo_snn.data.scaling import Scaling
from mpo_snn.errors import DataError

SIZE = 224
_RESIZED = 256 / 224
"""Shorter side before the central crop, as a multiple of the size, as is usual for ImageNet."""
_LONGEST = 4
"""Longer side, as a multiple of the shorter, of which anything can be seen in the central crop."""
_FOLDERS: dict[PartName, tuple[str, ...]] = {"train": ("train",), "test": ("val", "test")}
_END = 512
"""A tar ends with blocks of this many zero bytes."""
SUFFIXES = {".jpeg", ".jpg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff"}


class Place(NamedTuple):
    """Where the bytes of an image are: a file, or a stretch of one."""

    file: Path
    start: int = 0
    length: int = -1


_UNSCALED = Scaling(255.0)


@dataclass(frozen=True)
class ImageFiles:
    """Images that are read when they are indexed, scaled to float32.

    Attributes:
        places: where they are.
        names: what to call them in an error.
        size: height and width that they are brought to.
        resized_crop: whether training sees a random part at a random size.
        scaling: of the pixels.
    """

    places: tuple[Place, ...]
    names: tuple[str, ...]
    size: int = SIZE
    resized_crop: bool = False
    scaling: Scaling = _UNSCALED

    @property
    def shape(self) -> torch.Size:
        """(N, 3, size, size)."""
        return torch.Size((len(self), 3, self.size, self.size))

    def __len__(self) -> int:
        """N."""
        return len(self.places)

    def __getitem__(self, which: slice | list[int]) -> Tensor:
        """These images, the shorter side resized, the centre cut out, scaled."""
        indices = range(len(self))[which] if isinstance(which, slice) else which
        return self.scaling.apply(self.as_stored(list(indices)).contiguous())

    def as_stored(self, which: list[int], training: bool = False) -> Tensor:
        """These images before they are scaled; in training, random parts if that is asked for."""
        prepare = random_part if training and self.resized_crop else central_part
        return batch_of([prepare(self.open(index), self.size) for index in which])

    def subset(self, indices: Sequence[int]) -> ImageFiles:
        """Some of the images, in this order."""
        places = tuple(self.places[index] for index in indices)
        return replace(self, places=places, names=tuple(self.names[index] for index in indices))

    def open(self, index: int) -> Any:
        """One image in RGB.

        Raises:
            DataError: if it cannot be read or decoded.
        """
        return decode(io.BytesIO(self.content(index)), self.names[index])

    def content(self, index: int) -> bytes:
        """One image as it is encoded.

        Raises:
            DataError: if it cannot be read.
        """
        place = self.places[index]
        try:
            with place.file.open("rb") as file:
                file.seek(place.start)
                return file.read(place.length)
        except OSError as error:
            reason = error.strerror or error
            raise DataError(f"cannot read '{self.names[index]}': {reason}.") from error


def decode(content: IO[bytes], name: str) -> Any:
    """An image in RGB.

    Args:
        content: as it is encoded.
        name: what to call it in an error.

    Raises:
        DataError: if it cannot be decoded.
    """
    from PIL import Image

    try:
        return Image.open(content).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _no_image(name) from error


def _no_image(name: str) -> DataError:
    return DataError(f"cannot read '{name}': it is no image, or damaged.")


def find_folder(path: Path, part: PartName) -> tuple[ImageFiles, Tensor, tuple[str, ...]] | None:
    """The images of a split below a folder, their labels and the classes; None if it has none."""
    root = next((path / name for name in _FOLDERS[part] if (path / name).is_dir()), None)
    if root is None:
        return None
    found = [
        (folder.name, str(file), Place(file))
        for folder in sorted(root.iterdir())
        if folder.is_dir()
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in SUFFIXES
    ]
    return _gather(found) if found else None


def find_tar(path: Path, part: PartName) -> tuple[ImageFiles, Tensor, tuple[str, ...]] | None:
    """Likewise in a tar that is not compressed.

    Raises:
        DataError: if the tar is damaged.
    """
    found = []
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if not member.isfile() or name.suffix.lower() not in SUFFIXES:
                    continue
                parts = name.parts
                if len(parts) >= 3 and parts[-3] in _FOLDERS[part]:
                    place = Place(path, member.offset_data, member.size)
                    found.append((parts[-2], f"{path}:{member.name}", place))
    except (tarfile.TarError, EOFError) as error:
        raise DataError(
            f"cannot read '{path}': it is a damaged tar, or a compressed one ({error})."
        ) from error
    with path.open("rb") as file:
        file.seek(-_END, io.SEEK_END)
        if any(file.read()):
            raise DataError(f"cannot read '{path}': it is a damaged tar, its end is missing.")
    return _gather(sorted(found)) if found else None


def _gather(
    found: list[tuple[str, str, Place]],
) -> tuple[ImageFiles, Tensor, tuple[str, ...]]:
    classes = tuple(sorted({name for name, _, _ in found}))
    number = {name: index for index, name in enumerate(classes)}
    labels = torch.tensor([number[name] for name, _, _ in found])
    files = ImageFiles(tuple(p for _, _, p in found), tuple(name for _, name, _ in found))
    return files, labels, classes


def central_part(image: Any, size: int) -> Tensor:
    """The shorter side resized, the centre cut out: (3, size, size), uint8."""
    short = max(size, round(size * _RESIZED))
    width, height = image.size
    if (width, height) != (size, size):
        image = _without_far_ends(image)
        width, height = image.size
        scale = short / min(width, height)
        image = image.resize((math.ceil(width * scale), math.ceil(height * scale)), _bilinear())
        left, top = (image.width - size) // 2, (image.height - size) // 2
        image = image.crop((left, top, left + size, top + size))
    return _pixels(image)


def _without_far_ends(image: Any) -> Any:
    """A strip that is resized as a whole would fill the memory with what no crop shows."""
    width, height = image.size
    longest = _LONGEST * min(width, height)
    if max(width, height) <= longest:
        return image
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return image.crop((left, top, left + min(width, longest), top + min(height, longest)))


def random_part(image: Any, size: int) -> Tensor:
    """8 to 100 % of the area, aspect ratio 3/4 to 4/3 (torchvision's RandomResizedCrop)."""
    return _pixels(_resized_crop(size)(image))


@lru_cache(maxsize=8)
def _resized_crop(size: int) -> Any:
    from mpo_snn.operators import declare_torchvision_operators

    declare_torchvision_operators()
    from torchvision.transforms import v2

    return v2.RandomResizedCrop(size, antialias=True)


def _pixels(image: Any) -> Tensor:
    import numpy as np

    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def batch_of(images: list[Tensor]) -> Tensor:
    """Images (3, height, width) as (N, 3, height, width), channels last in memory as decoded."""
    return torch.stack([image.permute(1, 2, 0) for image in images]).permute(0, 3, 1, 2)


def _bilinear() -> Any:
    from PIL import Image

    return Image.Resampling.BILINEAR
