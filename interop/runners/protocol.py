"""What the runners share: jobs in, recordings out. Needs numpy and the standard library alone.

A runner is started with the Python of its environment, in one of two ways:

    python run_norse.py MODEL.nir INPUT.npz OUTPUT.npz [--dt 1e-4] [--after CODE]
    python run_norse.py JOBS.json

JOBS.json is a list of objects with the keys model, input, output, dt, after. `after` is code that
is run on `network` once the file is loaded: what the exporter told the user to do. INPUT.npz holds
`x`, (time, batch, *features). OUTPUT.npz gets `reader` (name and version) and either `error`, one
line, or `output`, (time, batch, *outputs), and one `layer:NAME` for every layer whose spikes the
reader shows. An error of the reader is a result, not a failure of the runner.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import io
import json
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

SECONDS = 10
"""Of processor time; a reader that takes longer is stopped: spyx loops for ever on some graphs."""

Recording = tuple[np.ndarray, dict[str, np.ndarray]]
Run = Callable[[str, np.ndarray, float, str], Recording]


def main(package: str, run: Run) -> None:
    """Do the jobs of the command line.

    Args:
        package: distribution whose version is reported.
        run: (path of the model, x, dt in seconds, code to run after loading) -> output, spikes per
            layer.
    """
    warnings.simplefilter("ignore")
    reader = f"{package} {importlib.metadata.version(package)}"
    jobs = _jobs()
    for i, job in enumerate(jobs):
        results = _result(run, job)
        np.savez_compressed(job["output"], reader=reader, **results)
        note = str(results.get("error", "done"))
        print(f"{reader}: {i + 1}/{len(jobs)} {Path(job['model']).name}: {note}", file=sys.stderr)


def _jobs() -> list[dict]:
    parser = argparse.ArgumentParser(description="Run NIR files in one reader.")
    parser.add_argument("files", nargs="+", help="JOBS.json, or MODEL.nir INPUT.npz OUTPUT.npz")
    parser.add_argument("--dt", type=float, default=1e-4, help="seconds")
    parser.add_argument("--after", default="", help="code to run on `network` once it is loaded")
    given = parser.parse_args()
    if len(given.files) == 1:
        return json.loads(Path(given.files[0]).read_text(encoding="utf-8"))
    if len(given.files) != 3:
        parser.error("expected JOBS.json, or MODEL.nir INPUT.npz OUTPUT.npz")
    model, x, output = given.files
    return [{"model": model, "input": x, "output": output, "dt": given.dt, "after": given.after}]


def _result(run: Run, job: dict) -> dict[str, np.ndarray]:
    x = np.load(job["input"])["x"].astype(np.float32)
    signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            output, layers = run(job["model"], x, job.get("dt", 1e-4), job.get("after", ""))
    except Exception as error:
        text = " ".join(str(error).split())
        return {"error": np.array(f"{type(error).__name__}: {text[:300]}")}
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    spikes = {f"layer:{name}": value.astype(np.uint8) for name, value in layers.items()}
    return {"output": np.asarray(output), **spikes}


def _stop(signum: int, frame: object) -> None:
    raise TimeoutError(f"still running after {SECONDS} s of processor time")
