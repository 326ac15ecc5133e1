"""python -m interop.matrix .interop : every network through every reader, into docs/interop.md."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from mpo_snn.export.nir_file import write_nir

from .agreement import agree
from .cases import graph_cases, network_cases, random_cases
from .readers import REAL_READERS, Job, run_jobs


def main() -> None:
    """Write plain files, run them everywhere, print how far each agrees."""
    environments = Path(sys.argv[1])
    cases = network_cases() + graph_cases() + random_cases(range(6))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        references = [case.reference() for case in cases]
        for i, case in enumerate(cases):
            np.savez(folder / f"{i}.npz", x=case.x.numpy())
        for reader, real in REAL_READERS.items():
            jobs = []
            for i, case in enumerate(cases):
                model = folder / f"{i}-{reader}.nir"
                write_nir(model, case.graph, real.nir_version)
                jobs.append(Job(model, folder / f"{i}.npz", folder / f"{i}-{reader}.npz", case.dt))
            for case, (source, reference), recorded in zip(
                cases,
                references,
                run_jobs(environments / real.environment / "bin/python", real.runner, jobs, folder),
                strict=True,
            ):
                a = agree(source, case.x, reference, recorded)
                print(
                    f"{reader:13} {case.name:42}",
                    a.problem or f"{a.identical:.4f} {a.jaccard:.3f} exact={a.is_exact} {a.roots}",
                )


if __name__ == "__main__":
    main()
