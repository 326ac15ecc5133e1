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
from dataclasses import dataclass
from pathlib import Path

from benchmarks.small_images import write_parquet, write_tar

MINUTES = 5.0
"""After which a command counts as failed."""


@dataclass(frozen=True)
class Command:
    """One benchmark.

    Attributes:
        words: module below `benchmarks`, and options; FOLDER is the one of the results.
        result: name of the result file, which must have rows then; None where it leaves none.
    """

    words: str
    result: str | None = None

    @property
    def measures(self) -> bool:
        """Whether it takes the common options."""
        return self.result is not None


SMALL = "--channels 4 4 --batch 4 --precision fp32 --layout own --repetitions 1"
COMMANDS = (
    Command("gpu.recorded --network convnet --batch 4 --steps 2 --repetitions 1", "recorded"),
    Command("inference --densities 0.15 --batch 2 --timesteps 2 --repetitions 1", "inference"),
    Command("gpu.kernel --shape 2 2 4 4 4 --repetitions 1", "kernel"),
    Command(f"gpu.throughput --network convnet {SMALL}", "throughput"),
    Command("convolution --shape 32 8 --density 0.2 --samples 2 --repetitions 1", "convolution"),
    Command("product --shape 70 300 40 --density 0.2 --repetitions 1", "product"),
    Command("shares --network vgg11 --channel-scale 0.125 --batch 2 --precision fp32", "shares"),
    Command("counting --network convnet --batch 2 --timesteps 2 --repetitions 2", "counting"),
    Command("growth --axis timesteps width depth batch --values 1 2 --repetitions 1", "growth"),
    Command("gpu.evaluate --network convnet --samples 8 --batch 4 --compared 4", "evaluate"),
    Command("input --data FOLDER/images.tar --workers 1 --repetitions 1", "input"),
    Command(
        "gpu.cifar10 --data FOLDER --work FOLDER/work --epochs 1 --batch 16 --channels 4 4",
        "cifar10",
    ),
    Command("win benchmarks/results/win FOLDER"),
)
AFTERWARDS = (
    Command("growth --figure FOLDER/growth.svg --results FOLDER"),
    Command("table --results FOLDER"),
    Command("table"),
)
"""These read what the others left."""


def main(argv: list[str] | None = None) -> int:
    """Run them all; 1 if one failed."""
    parser = argparse.ArgumentParser(prog="benchmarks.check", description=__doc__)
    parser.add_argument("folder", type=Path, help="for what they write; emptied before")
    folder: Path = parser.parse_args(argv).folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_tar(folder / "images.tar", 64)
    write_parquet(folder, 32)
    with ThreadPoolExecutor(2) as pool:
        passed = list(pool.map(lambda command: run(command, folder), COMMANDS))
    passed += [run(command, folder) for command in AFTERWARDS]
    print(f"{len(passed)} commands, {passed.count(False)} failed")
    return int(not all(passed))


def run(command: Command, folder: Path) -> bool:
    """Run one, tell how it went, and whether it went well."""
    module, *words = shlex.split(command.words.replace("FOLDER", shlex.quote(str(folder))))
    if command.measures:
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
    if found is None and not skipped and command.result is not None:
        found = _without_rows(folder / f"{command.result}-cpu.json")
    verdict = "FAILED" if found is not None else "skipped" if skipped else "ok"
    print(f"{verdict:7} {time.monotonic() - start:4.0f} s  {command.words}", flush=True)
    if found is not None or skipped:
        print(found or done.stdout.strip(), flush=True)
    return found is None


def _without_rows(path: Path) -> str | None:
    if not path.exists():
        return f"it left no {path.name}"
    return None if json.loads(path.read_text())["rows"] else f"there is nothing in {path.name}"


if __name__ == "__main__":
    sys.exit(main())
