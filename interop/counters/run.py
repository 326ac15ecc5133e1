"""Running the real counters, each in the environment that `make counters` fills."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import nir
import numpy as np

from mpo_snn.encoding import encode
from mpo_snn.export.nir_export import DEFAULT_DT

from ..readers import RUNNERS
from .cases import BATCH, CountedCase
from .networks import TIMESTEPS

COUNTERS = {"neurobench": "count_neurobench.py", "spikingjelly": "count_spikingjelly.py"}
MINUTES = 5


def run_counter(
    counter: str, python: Path, cases: list[CountedCase], folder: Path
) -> dict[str, dict[str, Any]]:
    """What a counter says of each case.

    Args:
        counter: a name out of `COUNTERS`.
        python: interpreter of the environment.
        cases: what to count.
        folder: where files go.

    Raises:
        RuntimeError: if the counter does not run.
    """
    jobs = [_job(case, folder / f"{counter}-{i}") for i, case in enumerate(cases)]
    listing = folder / f"{counter}.json"
    listing.write_text(json.dumps(jobs), encoding="utf-8")
    done = subprocess.run(
        [python, RUNNERS / COUNTERS[counter], listing],
        env={**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no output"]
        raise RuntimeError(f"cannot run {COUNTERS[counter]}: {last[0]}")
    return {
        case.name: json.loads(Path(job["output"]).read_text(encoding="utf-8"))
        for case, job in zip(cases, jobs, strict=True)
    }


def _job(case: CountedCase, stem: Path) -> dict[str, Any]:
    model, data = stem.with_suffix(".nir"), stem.with_suffix(".npz")
    nir.write(model, case.graph())
    x = encode(case.dataset.test_x, TIMESTEPS, "direct").transpose(0, 1).contiguous()
    np.savez_compressed(data, x=x.numpy(), y=case.dataset.test_y.numpy())
    return {
        "model": str(model),
        "input": str(data),
        "output": str(stem.with_suffix(".json")),
        "dt": DEFAULT_DT,
        "batch": BATCH,
    }
