"""Images/s that reach a training from tar shards, and from an image folder by plain torchvision.

    python -m benchmarks.input --data imagenette224-subset.tar [--again]

The same images, decoder (Pillow), random part at a random size (torchvision's v2), mirroring and
batches for all; shards hold the very bytes of the files. One epoch is read by workers, and nothing
is trained. CPU time is that of the process and its workers, which other load does not move.

`cold` files are put out of the page cache before every epoch (`posix_fadvise`), which shows what
many small files cost a disk; whether the disk below has a cache of its own is not known.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import Results, add_common_options
from mpo_snn.data import load_dataset
from mpo_snn.data.augment import random_flip
from mpo_snn.data.settings import DataSettings
from mpo_snn.data.shard_writer import write_shards
from mpo_snn.data.shards import Shards
from mpo_snn.operators import declare_torchvision_operators
from mpo_snn.training.batches import shuffled_loader
from mpo_snn.training.stream import streamed_loader

SIZE, BATCH, IMAGES_IN_SHARD = 224, 64, 200
PLAIN, FILES, STREAM = "torchvision ImageFolder", "mpo-snn, files", "mpo-snn, shards"
Epoch = Callable[[], Iterable[Any]]


def main(argv: list[str] | None = None) -> int:
    """Measure what has no result yet; 0 also where there are no images."""
    parser = argparse.ArgumentParser(prog="benchmarks.input", description=__doc__)
    add_common_options(parser)
    parser.add_argument(
        "--data", type=Path, required=True, help="tar with train/CLASS/*, val/CLASS/*"
    )
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args(argv)
    options.device = "cpu"
    if not options.data.is_file():
        print(f"skipped: there is no '{options.data}'")
        return 0
    if importlib.util.find_spec("webdataset") is None:
        print("skipped: shards need webdataset, pip install 'mpo-snn[stream]'")
        return 0
    torch.set_num_threads(options.threads)
    results = Results("input", options)
    with tempfile.TemporaryDirectory() as scratch:
        folder, shards = Path(scratch) / "files", Path(scratch) / "shards"
        with tarfile.open(options.data) as archive:
            archive.extractall(folder, filter="data")
        if not (folder / "train").is_dir():  # in a folder of the tar's
            folder = next(path.parent for path in folder.rglob("train"))
        write_shards(folder, shards, IMAGES_IN_SHARD)
        for cache in ("warm", "cold"):
            for workers in options.workers:
                case = {"workers": workers, "page_cache": cache, "batch": BATCH, "size": SIZE}
                if results.is_wanted(case):
                    row = measure_case(folder, shards, workers, cache == "cold", options)
                    results.add(case, row)
                    for name, found in row["variants"].items():
                        ratio = found["images_per_s_over_torchvision"]
                        cost = found["cpu_ms_per_image"]
                        print(
                            f"  {name:24} {found['images_per_s']:7.1f} images/s {ratio:5.2f}x"
                            f" {cost:6.2f} ms of CPU an image",
                            flush=True,
                        )
    return 0


def measure_case(
    folder: Path, shards: Path, workers: int, is_cold: bool, options: argparse.Namespace
) -> dict[str, Any]:
    """Wall time of an epoch of each variant, taking turns; checked to be whole epochs first."""
    epochs = {
        PLAIN: _torchvision(folder, workers),
        FILES: _ours(folder, workers, options.seed),
        STREAM: _ours(shards, workers, options.seed),
    }
    labels = {name: _labels(epoch) for name, epoch in epochs.items()}  # and a warm-up
    if len({tuple(sorted(found)) for found in labels.values()}) != 1:
        raise SystemExit("the variants do not read the same images")
    times: dict[str, list[float]] = {name: [] for name in epochs}
    costs: dict[str, list[float]] = {name: [] for name in epochs}
    for repetition in range(options.repetitions):
        names = list(epochs)
        for name in names[repetition % 3 :] + names[: repetition % 3]:
            if is_cold:
                _forget(folder if name != STREAM else shards)
            start, before = time.perf_counter(), _cpu_seconds()
            for _ in epochs[name]():
                pass
            times[name].append(time.perf_counter() - start)
            costs[name].append(_cpu_seconds() - before)
    images = len(labels[PLAIN])
    medians = {name: statistics.median(found) for name, found in times.items()}
    return {
        "images": images,
        "megabytes": round(sum(p.stat().st_size for p in shards.glob("train-*")) / 1e6, 1),
        "cores": os.cpu_count(),
        "variants": {
            name: {
                "median_s": medians[name],
                "min_s": min(times[name]),
                "cpu_ms_per_image": 1e3 * statistics.median(costs[name]) / images,
                "images_per_s": images / medians[name],
                "images_per_s_over_torchvision": medians[PLAIN] / medians[name],
            }
            for name in epochs
        },
    }


def _torchvision(folder: Path, workers: int) -> Epoch:
    """As torchvision's reference script for ImageNet reads it, up to the normalisation."""
    declare_torchvision_operators()
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    steps = [
        v2.RandomResizedCrop(SIZE, antialias=True),
        v2.RandomHorizontalFlip(),
        v2.PILToTensor(),
    ]
    dataset = ImageFolder(str(folder / "train"), v2.Compose(steps))
    loader = DataLoader(
        dataset, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    return lambda: loader


def _ours(path: Path, workers: int, seed: int) -> Epoch:
    data = load_dataset(
        DataSettings("imagefolder", str(path), size=SIZE, resized_crop=True, flip=True)
    )
    x: Any = data.train_x
    if isinstance(x, Shards):
        loader = streamed_loader(x, BATCH, seed, random_flip, workers)
    else:
        loader = shuffled_loader(x, data.train_y, BATCH, seed, random_flip, workers)
    return lambda: loader


def _labels(epoch: Epoch) -> list[int]:
    found: list[int] = []
    for x, y in epoch():
        if x.dtype != torch.uint8 or x.shape[1:] != (3, SIZE, SIZE):
            raise SystemExit(f"a batch is {x.dtype} of shape {tuple(x.shape)}")
        found += y.tolist()
    return found


def _cpu_seconds() -> float:
    """CPU time of this process and its workers so far; no other load moves it."""
    own = time.process_time()
    for worker in multiprocessing.active_children():
        fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
        own += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own


def _forget(folder: Path) -> None:
    """Put files out of the page cache."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    sys.exit(main())
