"""A digest of labelled samples, by which other samples of the same number are told from them.

What it sees, as nothing is read a second time that does not fit into memory:

- samples in memory: labels and all values as they are stored; where they take more than
  `MOST_BYTES`, those of samples spread evenly over all of them;
- image files: their own names and labels, the sizes of up to `MOST_FILES` and the bytes of up to
  `MOST_READ` of them, spread likewise;
- streamed shards: names, labels and, in a folder, sizes of the shards.

Folders do not count, so that data may be moved; how samples are scaled and augmented does not
either, nor does the shape in which a graph takes them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mpo_snn.data.dataset import Pixels, Samples
from mpo_snn.data.fit import Fitted
from mpo_snn.data.image_files import ImageFiles
from mpo_snn.data.shard_index import is_address
from mpo_snn.data.shards import Shards

MOST_BYTES = 256 << 20
MOST_FILES, MOST_READ = 50_000, 64


def digest_of(x: Samples, y: Tensor) -> str:
    """The digest of samples and their labels, 32 hexadecimal digits.

    Args:
        x: samples, (N, *features).
        y: their labels, (N,).

    Raises:
        DataError: if a file that is looked at cannot be read.
    """
    if isinstance(x, Fitted):
        return digest_of(x.samples, y)
    found = hashlib.sha256(str(tuple(x.shape)).encode())
    _add_tensor(found, y)
    if isinstance(x, Pixels):
        _add_tensor(found, x.stored)
    elif isinstance(x, Tensor):
        _add_tensor(found, x)
    elif isinstance(x, ImageFiles):
        _add_files(found, x)
    elif isinstance(x, Shards):
        _add_shards(found, x)
    return found.hexdigest()[:32]


def spread(count: int, most: int) -> list[int]:
    """Up to `most` of the numbers 0 to count - 1, spread evenly; all where they are as few."""
    taken = min(count, most)
    return [number * count // taken for number in range(taken)]


def _add_tensor(found: Any, x: Tensor) -> None:
    found.update(f"{x.dtype} {tuple(x.shape)}".encode())
    if x.nbytes > MOST_BYTES:
        x = x[spread(len(x), max(1, len(x) * MOST_BYTES // x.nbytes))]
    if x.numel():
        found.update(np.ascontiguousarray(x.cpu().numpy()).data.cast("B"))


def _add_files(found: Any, x: ImageFiles) -> None:
    found.update("\n".join(name.rpartition("/")[2] for name in x.names).encode())
    sizes = [_size(x, index) for index in spread(len(x), MOST_FILES)]
    found.update(str(sizes).encode())
    for index in spread(len(x), MOST_READ):
        found.update(x.content(index))


def _size(x: ImageFiles, index: int) -> int:
    place = x.places[index]
    return place.length if place.length >= 0 else _size_of(place.file)


def _add_shards(found: Any, x: Shards) -> None:
    for span in x.spans:
        found.update(f"{span.shard.file} {span.start} {span.stop}\n".encode())
    if not is_address(x.root):
        for file in dict.fromkeys(span.shard.file for span in x.spans):
            found.update(f"{_size_of(Path(x.root) / file)}\n".encode())


def _size_of(path: Path) -> int:
    """In bytes; -1 for a file that is not there, of which its reader has more to say."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
