"""Writes a data set of image files as tar shards with their `shards.json`.

Images keep their bytes. They are written in a fixed shuffled order of which every beginning holds
each class in its share (`mpo_snn.data.part`), so that a limit or a validation part is a beginning
or an end of the shards, and a shard is a fair sample of the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

import torch

from mpo_snn.data.image_files import ImageFiles, Split, read_split
from mpo_snn.data.part import stratified_order
from mpo_snn.data.shard_index import INDEX, Shard, index_text
from mpo_snn.data.shard_stream import webdataset
from mpo_snn.errors import DataError, OutputError
from mpo_snn.files import make_folder, replace_file, write_file

MOST_IMAGES = 10**6
"""In a shard; a tar of more is no part of anything that could be shuffled."""

Told = Callable[[str, int], None]


def write_shards(source: Path, output: Path, images: int = 1000, tell: Told | None = None) -> None:
    """Write both splits of a folder or tar of image files (`mpo_snn.data.image_files`).

    The index is written last: what was interrupted has none, and is written anew.

    Args:
        source: has train/CLASS/* and val/CLASS/* (or test/CLASS/*).
        output: folder, absent or empty.
        images: in a shard, 1 to `MOST_IMAGES`.
        tell: called with the file name of every shard and how many images it has.

    Raises:
        DataError: if a split is absent, classes differ, or an image cannot be read; if webdataset
            is not installed.
        OutputError: if the folder holds shards or the images themselves, or the disk refuses.
    """
    webdataset()
    if not 1 <= images <= MOST_IMAGES:
        raise DataError(f"cannot write shards of {images} images, allowed is 1 to {MOST_IMAGES}.")
    if output.resolve() in [
        source.resolve() / part for part in (".", "train", "val", "test") if source.is_dir()
    ]:
        raise OutputError(
            f"cannot write shards into '{output}': it holds the images themselves. Name another"
            " folder."
        )
    if (output / INDEX).is_file():
        raise OutputError(f"cannot write shards into '{output}': there are some already.")
    attempt = "write shards of"
    if not source.exists():
        raise DataError(f"cannot {attempt} '{source}': it is not there.")
    train, test = read_split(source, "train", attempt), read_split(source, "test", attempt)
    if train[2] != test[2]:
        names = sorted(set(train[2]) ^ set(test[2]))
        raise DataError(
            f"cannot {attempt} '{source}': class '{names[0]}' is in one of its splits only."
        )
    make_folder(output)
    written = [
        _write_split(output, name, split, images, tell)
        for name, split in (("train", train), ("val", test))
    ]
    write_file(output / INDEX, index_text(train[2], *written))


def _write_split(
    output: Path,
    name: str,
    split: Split,
    images: int,
    tell: Told | None,
) -> list[Shard]:
    files, y, _ = split
    shards = []
    for number, chosen in enumerate(torch.split(stratified_order(y), images)):
        shard = Shard(f"{name}-{number:06d}.tar", tuple(y[chosen].tolist()))
        _write(output / shard.file, files, chosen.tolist(), shard, number * images)
        shards.append(shard)
        if tell is not None:
            tell(shard.file, len(shard.labels))
    return shards


def _write(path: Path, files: ImageFiles, chosen: list[int], shard: Shard, first: int) -> None:
    """One tar; equal images give equal bytes."""
    with (
        replace_file(path) as scratch,
        scratch.open("wb") as stream,
        webdataset().TarWriter(stream, encoder=False, mtime=0) as tar,
    ):
        for number, (index, label) in enumerate(zip(chosen, shard.labels, strict=True), first):
            suffix = PurePosixPath(files.names[index]).suffix.lower().lstrip(".")
            content = {suffix: files.content(index), "cls": str(label).encode()}
            tar.write({"__key__": f"{number:08d}", **content})
