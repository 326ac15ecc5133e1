"""Every benchmark in its smallest form on a CPU: do they still run, and what they check, hold?

    python -m benchmarks.check build/bench-check

No time in these results says anything. Each command runs in a process of its own, as by hand, two
at once; what it prints is shown where it fails. What is not installed, the benchmarks skip.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.small_images import write_parquet, write_tar
from mpo_snn.files import make_folder

MINUTES = 5.0
"""After which a command counts as failed."""


SMALL = "--channels 4 4 --batch 4 --precision fp32 --layout own --repetitions 1"
MEASURING = (
    "gpu.recorded --network convnet --batch 4 --steps 2 --repetitions 1",
    "inference --densities 0.15 --batch 2 --timesteps 2 --repetitions 1",
    "gpu.kernel --shape 2 2 4 4 4 --repetitions 1",
    f"gpu.throughput --network convnet {SMALL}",
    "overhead --network convnet --pairs 2 --batch 2 --precision fp32",
    "convolution --shape 32 8 --density 0.2 --samples 2 --repetitions 1",
    "product --shape 70 300 40 --density 0.2 --repetitions 1",
    "shares --network vgg11 --channel-scale 0.125 --batch 2 --precision fp32",
    "counting --network convnet --batch 2 --timesteps 2 --repetitions 2",
    "growth --axis timesteps width depth batch --values 1 2 --repetitions 1",
    "gradient_growth --network mlp resnet19 --scale 0.5 --batch 4",
    "gpu.evaluate --network convnet --samples 8 --batch 4 --compared 4",
    "input --data FOLDER/images.tar --workers 1 --repetitions 1",
    "gpu.cifar10 --data FOLDER/cifar10 --work FOLDER/work --epochs 1 --batch 16 --channels 4 4"
    " --scale 0.5 0.4",
    "dense --data FOLDER/cifar10 --epochs 1 --batch 16",
)
"""Modules below `benchmarks` with their options; FOLDER is the one of the results.

Each takes the common options and leaves a result file of its own name, which must have rows."""
SHOWING = (
    "win benchmarks/results/win FOLDER",
    "rivals benchmarks/results/rivals FOLDER",
    "growth --figure FOLDER/growth.svg --results FOLDER",
    "table --results FOLDER",
    "table",
)
"""These measure nothing; they come last, for they read what the others left."""


def main(argv: list[str] | None = None) -> int:
    """Run them all; 1 if one failed."""
    parser = argparse.ArgumentParser(prog="benchmarks.check", description=__doc__)
    parser.add_argument("folder", type=Path, help="for what they write; emptied before")
    folder: Path = parser.parse_args(argv).folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_tar(folder / "images.tar", 64)
    write_parquet(make_folder(folder / "cifar10"), 32)
    with ThreadPoolExecutor(2) as pool:
        passed = list(pool.map(lambda words: run(words, folder, measures=True), MEASURING))
    passed += [run(words, folder, measures=False) for words in SHOWING]
    print(f"{len(passed)} commands, {passed.count(False)} failed")
    return int(not all(passed))


def run(command: str, folder: Path, measures: bool) -> bool:
    """Run one, tell how it went, and whether it went well."""
    module, *words = shlex.split(command.replace("FOLDER", shlex.quote(str(folder))))
    if measures:
        words += ["--device", "cpu", "--results", str(folder)]
    start = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{module}", *words],
            capture_output=True,
            text=True,
            timeout=60.0 * MINUTES,
            check=False,
            env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        )
        found = None if done.returncode == 0 else done.stdout[-2000:] + done.stderr[-4000:]
        skipped = found is None and done.stdout.startswith("skipped:")
    except subprocess.TimeoutExpired:
        found, skipped = f"it did not end in {MINUTES:g} minutes", False
    if found is None and not skipped and measures:
        found = _without_rows(folder / f"{module.rpartition('.')[2]}-cpu.json")
    verdict = "FAILED" if found is not None else "skipped" if skipped else "ok"
    print(f"{verdict:7} {time.monotonic() - start:4.0f} s  {command}", flush=True)
    if found is not None or skipped:
        print(found or done.stdout.strip(), flush=True)
    return found is None


def _without_rows(path: Path) -> str | None:
    if not path.exists():
        return f"it left no {path.name}"
    return None if json.loads(path.read_text())["rows"] else f"there is nothing in {path.name}"


if __name__ == "__main__":
    sys.exit(main())
