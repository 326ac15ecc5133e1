"""CIFAR-10 in as few bytes as keep every pixel, to carry to another machine: 102 MiB of 176.

    python -m benchmarks.gpu.pack --data FOLDER OUTPUT

Leaves train.parquet and test.parquet of lossless WebP, which `--data.path` and `--data` take.
"""

from __future__ import annotations

import argparse
import io
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from torch import Tensor

from benchmarks.gpu.images import CIFAR10, PARTS, load_split
from mpo_snn.errors import MpoError
from mpo_snn.files import make_folder, replace_file


def main(argv: list[str] | None = None) -> int:
    """Pack both splits."""
    import pyarrow
    from pyarrow import parquet

    parser = argparse.ArgumentParser(prog="benchmarks.gpu.pack", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of CIFAR-10")
    parser.add_argument("output", type=Path, help="folder for the two files")
    options = parser.parse_args(argv)
    try:
        folder = make_folder(options.output)
        for part in PARTS:
            images = load_split(options.data, part, "cpu", None)
            if images.title != CIFAR10.title:
                parser.error(f"'{options.data}' is {images.title}: it is small as it is, carry it.")
            with ThreadPoolExecutor() as pool:
                packed = list(pool.map(_webp, images.pixels))
            table = pyarrow.table({"image": packed, "label": images.labels.numpy()})
            path = folder / f"{part}.parquet"
            with replace_file(path) as scratch:
                parquet.write_table(table, scratch, compression="none")
            print(f"{path}: {len(packed)} images, {sum(map(len, packed))} bytes")
    except MpoError as error:
        parser.error(str(error))
    return 0


def _webp(pixels: Tensor) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels.numpy()).save(stream, "WEBP", lossless=True)
    return stream.getvalue()


if __name__ == "__main__":
    sys.exit(main())
