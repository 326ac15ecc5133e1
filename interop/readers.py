"""The readers of the round trip: where each is installed and how its files are written and run."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RUNNERS = Path(__file__).parent / "runners"
MINUTES = 15


@dataclass(frozen=True)
class RealReader:
    """A reader as a program.

    Attributes:
        environment: folder of its virtual environment under `make interop`'s.
        nir_version: version of nir that its files are written for.
        runner: script in `interop/runners`.
    """

    environment: str
    nir_version: str
    runner: str


REAL_READERS = {
    "snntorch": RealReader("modern", "1.0.8", "run_snntorch.py"),
    "norse": RealReader("modern", "1.0.8", "run_norse.py"),
    "spikingjelly": RealReader("modern", "1.0.8", "run_spikingjelly.py"),
    "nirtorch": RealReader("modern", "1.0.8", "run_nirtorch.py"),
    "sinabs": RealReader("legacy", "1.0.4", "run_sinabs.py"),
    "rockpool": RealReader("legacy", "1.0.4", "run_rockpool.py"),
    "spyx": RealReader("jax", "1.0.8", "run_spyx.py"),
}


@dataclass(frozen=True)
class Job:
    """A file to run.

    Attributes:
        model: NIR file.
        input: file with `x`, (time, batch, *features).
        output: where the recording goes.
        dt: seconds.
        after: code to run after loading, on `network`.
    """

    model: Path
    input: Path
    output: Path
    dt: float
    after: str = ""


@dataclass(frozen=True)
class Recorded:
    """What a reader made of a file: an error in its own words, or output and layers' spikes."""

    reader: str
    error: str | None
    output: NDArray[np.float64]
    layers: dict[str, NDArray[np.bool_]]


def run_jobs(python: Path, runner: str, jobs: Sequence[Job], folder: Path) -> list[Recorded]:
    """Run files in a reader, all in one process.

    Args:
        python: interpreter of the reader's environment.
        runner: script in `interop/runners`.
        jobs: what to run.
        folder: where the list of jobs and the log go.

    Raises:
        RuntimeError: if the runner itself does not run.
    """
    listing, log = folder / f"{runner}.json", folder / f"{runner}.log"
    fields = [{k: str(v) if isinstance(v, Path) else v for k, v in vars(j).items()} for j in jobs]
    listing.write_text(json.dumps(fields), encoding="utf-8")
    quiet = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "JAX_PLATFORMS": "cpu"}
    with log.open("w", encoding="utf-8") as stderr:
        done = subprocess.run(
            [python, RUNNERS / runner, listing],
            stdout=stderr,
            stderr=stderr,
            env={**os.environ, "PYTHONPATH": "", **quiet},
            timeout=MINUTES * 60,
            check=False,
        )
    if done.returncode:
        last = log.read_text(encoding="utf-8").strip().splitlines()[-1:] or ["no output"]
        raise RuntimeError(f"cannot run {runner}: {last[0]} (whole log in {log}).")
    return [_read(job.output) for job in jobs]


def _read(path: Path) -> Recorded:
    with np.load(path) as file:
        reader = str(file["reader"])
        if "error" in file:
            return Recorded(reader, str(file["error"]), np.empty(0), {})
        layers = {k.removeprefix("layer:"): file[k] > 0 for k in file if k.startswith("layer:")}
        return Recorded(reader, None, file["output"].astype(np.float64), layers)
