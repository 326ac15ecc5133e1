"""Images of tar shards one after another, as webdataset reads them (extra `stream`)."""

from __future__ import annotations

import random
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from mpo_snn.data.image_files import SUFFIXES
from mpo_snn.data.shard_index import open_place
from mpo_snn.data.shards import Span, wrong_number
from mpo_snn.errors import DataError

_LABEL = "cls"
_FIRST = 100
"""Images in the buffer before the first leaves it."""


class Encoded(NamedTuple):
    """An image as it lies in a shard: its bytes, its class, and what to call it in an error."""

    content: bytes
    label: int
    name: str


def webdataset() -> Any:
    """The library.

    Raises:
        DataError: if it is not installed.
    """
    try:
        import webdataset
    except ImportError as error:
        raise DataError(
            "tar shards are read by webdataset, which is not installed:"
            " pip install 'mpo-snn[stream]'."
        ) from error
    return webdataset


def stream(root: str, spans: Iterable[Span], buffer: int, seed: int) -> Iterator[Encoded]:
    """The images of some spans, shuffled in a buffer that fills while they come in.

    Args:
        root: folder or address of the shards.
        spans: read in this order.
        buffer: images in it at most; they are held as they are encoded.
        seed: decides the order, together with the spans.

    Raises:
        DataError: if a shard is absent, damaged, or not as the index says.
    """
    images = (image for span in spans for image in _read(root, span))
    if buffer <= 1:
        return images
    shuffled: Iterator[Encoded] = webdataset().filters._shuffle(
        images, bufsize=buffer, initial=min(buffer, _FIRST), rng=random.Random(seed)
    )
    return shuffled


def _read(root: str, span: Span) -> Iterator[Encoded]:
    """The images of one span."""
    file, labels = span.shard.file, span.shard.labels
    where, count = f"{root}/{file}", 0
    tar = webdataset().tariterators
    with open_place(root, file) as source:
        try:
            files = tar.tar_file_expander([{"url": where, "stream": source}])
            for sample in tar.group_by_keys(files):
                content = next((sample[key] for key in sample if f".{key}" in SUFFIXES), None)
                if content is None:
                    continue
                if span.start <= count < span.stop:
                    name = f"{where}, image {count}"
                    _compare(sample.get(_LABEL), labels[count], name)
                    yield Encoded(content, labels[count], name)
                count += 1
                if count == span.stop < len(labels):
                    return  # what follows is another stream's
        except DataError:
            raise
        except (OSError, EOFError, ValueError, tarfile.TarError, zlib.error) as error:
            reason = str(error.args[0]) if error.args else type(error).__name__
            reason = reason.partition(" @ ")[0]
            raise DataError(f"cannot read shard '{where}': it is damaged ({reason}).") from error
    if count != len(labels):
        raise DataError(wrong_number(where, count, span.shard))


def _compare(written: bytes | None, label: int, name: str) -> None:
    """Refuse an image of another class than the index says."""
    if written is not None and written.strip() != str(label).encode():
        found = written[:20].decode("ascii", "replace")
        raise DataError(
            f"cannot use '{name}': its class is {found}, the index says {label}; one of the two is"
            " damaged or of another data set."
        )
