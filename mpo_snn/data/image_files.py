"""Images in files of their own, decoded when they are asked for: a folder or a tar for each class.

Layout, as torchvision's ImageFolder has it: train/<class>/* and val/<class>/* (or test/<class>/*),
in a folder or in one tar that is not compressed.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mpo_snn.data.image_parts import decode, parts_of
from mpo_snn.data.part_name import PartName
from mpo_snn.data.scaling import Scaling
from mpo_snn.errors import DataError

SIZE = 224
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
        return parts_of(map(self.open, which), self.size, training and self.resized_crop)

    def subset(self, indices: Sequence[int]) -> ImageFiles:
        """Some of the images, in this order."""
        places = tuple(self.places[index] for index in indices)
        return replace(self, places=places, names=tuple(self.names[index] for index in indices))

    def open(self, index: int) -> Any:
        """One image in RGB.

        Raises:
            DataError: if it cannot be read or decoded.
        """
        return decode(self.content(index), self.names[index])

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


Split = tuple[ImageFiles, Tensor, tuple[str, ...]]


def read_split(path: Path, part: PartName, attempt: str = "use") -> Split:
    """The images of a split in a folder or in a tar, their labels and the classes.

    Args:
        path: of the folder or tar.
        part: which split.
        attempt: what is tried, for errors.

    Raises:
        DataError: if it has none, or the tar is damaged or compressed.
    """
    found = _in_folder(path, part) if path.is_dir() else _in_tar(path, part)
    if not found:
        wanted = " or ".join(f"{name}/CLASS/*" for name in _FOLDERS[part])
        hint = "" if path.is_dir() else ", or it is compressed"
        raise DataError(f"cannot {attempt} '{path}': it has no images in {wanted}{hint}.")
    names, files, places = zip(*found, strict=True)
    classes = tuple(sorted(set(names)))
    number = {name: index for index, name in enumerate(classes)}
    labels = torch.tensor([number[name] for name in names])
    return ImageFiles(places, files), labels, classes


def images_of_tar(path: Path) -> Iterator[tuple[str, Place]]:
    """Names and places of the images in a tar that is not compressed, as they lie in it.

    Raises:
        OSError, tarfile.TarError, EOFError: if it cannot be read.
    """
    with tarfile.open(path, "r:") as archive:
        for member in archive:
            if member.isfile() and PurePosixPath(member.name).suffix.lower() in SUFFIXES:
                yield member.name, Place(path, member.offset_data, member.size)


def _in_folder(path: Path, part: PartName) -> list[tuple[str, str, Place]]:
    """Class, name and place of every image of a split."""
    root = next((path / name for name in _FOLDERS[part] if (path / name).is_dir()), None)
    if root is None:
        return []
    return [
        (folder.name, str(file), Place(file))
        for folder in sorted(root.iterdir())
        if folder.is_dir()
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in SUFFIXES
    ]


def _in_tar(path: Path, part: PartName) -> list[tuple[str, str, Place]]:
    """Likewise in a tar."""
    found = []
    try:
        for name, place in images_of_tar(path):
            parts = PurePosixPath(name).parts
            if len(parts) >= 3 and parts[-3] in _FOLDERS[part]:
                found.append((parts[-2], f"{path}:{name}", place))
    except (tarfile.TarError, EOFError) as error:
        raise DataError(
            f"cannot read '{path}': it is a damaged tar, or a compressed one ({error})."
        ) from error
    with path.open("rb") as file:
        file.seek(-_END, io.SEEK_END)
        if any(file.read()):
            raise DataError(f"cannot read '{path}': it is a damaged tar, its end is missing.")
    return sorted(found)
