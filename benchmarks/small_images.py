"""Small files in the forms that two benchmarks read, with random pixels: a tar, and Parquet."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

CLASSES, SIDE = 2, 32


def write_tar(path: Path, images: int) -> None:
    """A tar of train/CLASS/*.jpg and val/CLASS/*.jpg, so many images in each split."""
    with tarfile.open(path, "w") as archive:
        for split in ("train", "val"):
            for index, (jpeg, label) in enumerate(_images(images)):
                member = tarfile.TarInfo(f"{split}/class{label}/{index}.jpg")
                member.size = len(jpeg)
                archive.addfile(member, io.BytesIO(jpeg))


def write_parquet(folder: Path, images: int) -> None:
    """`train.parquet` and `test.parquet`, columns image (JPEG bytes) and label."""
    import pyarrow
    from pyarrow import parquet

    for split in ("train", "test"):
        jpegs, labels = zip(*_images(images), strict=True)
        table = pyarrow.table({"image": list(jpegs), "label": list(labels)})
        parquet.write_table(table, folder / f"{split}.parquet")


def _images(count: int) -> Iterator[tuple[bytes, int]]:
    from PIL import Image

    draw = np.random.default_rng(0)
    for index in range(count):
        stream = io.BytesIO()
        pixels = draw.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(stream, "jpeg")
        yield stream.getvalue(), index % CLASSES
