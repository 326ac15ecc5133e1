"""Images in tar shards: streamed in training, read one by one where they are measured."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mpo_snn.data.image_files import SIZE, ImageFiles, Place, images_of_tar
from mpo_snn.data.local_path import local_path
from mpo_snn.data.scaling import Scaling
from mpo_snn.data.shard_index import Shard, is_address
from mpo_snn.errors import DataError

_UNSCALED = Scaling(255.0)


@dataclass(frozen=True)
class Span:
    """A stretch of the images of one shard.

    Attributes:
        shard: which one.
        start: the first image, from 0.
        stop: behind the last one.
    """

    shard: Shard
    start: int
    stop: int

    def __len__(self) -> int:
        """How many images."""
        return self.stop - self.start

    @property
    def labels(self) -> tuple[int, ...]:
        """Their classes."""
        return self.shard.labels[self.start : self.stop]


@dataclass(frozen=True)
class Shards:
    """Images in the order in which they lie in their shards, scaled to float32 when indexed.

    Attributes:
        root: folder or address of the shards.
        spans: what is taken of them.
        size: height and width that images are brought to.
        resized_crop: whether training sees a random part at a random size.
        buffer: images that a process shuffles among each other while it streams.
        cache: folder in which shards of an address are kept that are read one by one.
        scaling: of the pixels.
    """

    root: str
    spans: tuple[Span, ...]
    size: int = SIZE
    resized_crop: bool = False
    buffer: int = 1000
    cache: str | None = None
    scaling: Scaling = _UNSCALED

    @property
    def shape(self) -> torch.Size:
        """(N, 3, size, size)."""
        return torch.Size((len(self), 3, self.size, self.size))

    def __len__(self) -> int:
        """N."""
        return sum(map(len, self.spans))

    @property
    def labels(self) -> Tensor:
        """Classes, int64, (N,)."""
        return torch.tensor([label for span in self.spans for label in span.labels])

    def __getitem__(self, which: slice | list[int]) -> Tensor:
        """These images, as `ImageFiles` gives them."""
        return self.files[which]

    def as_stored(self, which: list[int], training: bool = False) -> Tensor:
        """These images before they are scaled, as `ImageFiles` gives them."""
        return self.files.as_stored(which, training)

    def subset(self, indices: Sequence[int]) -> Shards:
        """Some of the images, in rising order."""
        wanted = np.asarray(indices, np.int64)
        bounds = np.cumsum([0, *map(len, self.spans)])
        spans = []
        for span, (low, high) in zip(self.spans, pairwise(bounds), strict=True):
            first, last = np.searchsorted(wanted, (low, high))
            own = wanted[first:last] - low + span.start
            for run in np.split(own, (np.diff(own) != 1).nonzero()[0] + 1):
                if len(run):
                    spans.append(Span(span.shard, int(run[0]), int(run[-1]) + 1))
        return replace(self, spans=tuple(spans))

    def cut(self, order: Sequence[int], sizes: Sequence[int]) -> list[tuple[Span, ...]]:
        """The images with the spans in another order, cut into pieces of these sizes.

        Args:
            order: of the spans.
            sizes: of the pieces; they add up to N.
        """
        spans = iter([self.spans[index] for index in order])
        pieces, rest = [], None
        for size in sizes:
            piece = []
            while size:
                span = rest or next(spans)
                taken = Span(span.shard, span.start, min(span.stop, span.start + size))
                rest = Span(span.shard, taken.stop, span.stop) if taken.stop < span.stop else None
                piece.append(taken)
                size -= len(taken)
            pieces.append(tuple(piece))
        return pieces

    @cached_property
    def files(self) -> ImageFiles:
        """The same images to be read one by one, in any order.

        Raises:
            DataError: if a shard is damaged or holds another number of images than the index says,
                or if the shards lie at an address and there is no cache.
        """
        found: dict[str, list[Place]] = {}
        places: list[Place] = []
        names: list[str] = []
        for span in self.spans:
            file = span.shard.file
            if file not in found:
                found[file] = _images_of(self._local(file), span.shard)
            places += found[file][span.start : span.stop]
            names += [f"{self.root}/{file}, image {n}" for n in range(span.start, span.stop)]
        return ImageFiles(tuple(places), tuple(names), self.size, self.resized_crop, self.scaling)

    def _local(self, file: str) -> Path:
        if not is_address(self.root):
            return Path(self.root) / file
        if self.cache is None:
            raise DataError(
                f"cannot read single images out of '{self.root}': name a folder, with --data.cache,"
                " in which shards that are measured on may be kept."
            )
        from mpo_snn.data.shard_cache import kept

        return kept(self.root, file, local_path(self.cache))


def _images_of(path: Path, shard: Shard) -> list[Place]:
    """Where the images of a shard are.

    Raises:
        DataError: if the shard is absent or damaged, or their number is not that of the index.
    """
    try:
        places = [place for _, place in images_of_tar(path)]
    except OSError as error:
        raise DataError(f"cannot read shard '{path}': {error.strerror or error}.") from error
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"cannot read shard '{path}': it is damaged ({error}).") from error
    if len(places) != len(shard.labels):
        raise DataError(wrong_number(str(path), len(places), shard))
    return places


def wrong_number(where: str, found: int, shard: Shard) -> str:
    """What is said where a shard and the index disagree."""
    return (
        f"cannot use shard '{where}': it holds {found} images, the index says"
        f" {len(shard.labels)}; one of the two is damaged or of another data set."
    )
