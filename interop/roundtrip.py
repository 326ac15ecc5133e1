"""Every file through every reader that is asked for, each compared with a reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mpo_snn.export.nir_file import write_nir
from mpo_snn.export.recording import Recording
from mpo_snn.export.sources import GraphSource

from .agreement import Agreement, agree
from .cases import Case
from .files import File
from .readers import REAL_READERS, Job, RealReader, run_jobs


@dataclass(frozen=True)
class Trip:
    """A file in a reader.

    Attributes:
        file: what was written.
        reader: name of the program, `readers.REAL_READERS`.
        after: code to run once the file is loaded.
        late: steps by which the output comes late, as the profile says.
        at_its_word: compare with the simulator on the file instead of on the network.
    """

    file: File
    reader: str
    after: str = ""
    late: int = 0
    at_its_word: bool = False


def run_trips(
    trips: Iterable[Trip], python_of: Callable[[RealReader], Path], folder: Path
) -> dict[Trip, Agreement]:
    """Run files and compare.

    Args:
        trips: files that are written, each with a reader.
        python_of: the interpreter that has a reader installed.
        folder: for files, inputs and recordings.

    Raises:
        RuntimeError: if a runner does not run.
    """
    bench = _Bench(folder)
    found: dict[Trip, Agreement] = {}
    by_reader: dict[str, list[Trip]] = {}
    for trip in trips:
        by_reader.setdefault(trip.reader, []).append(trip)
    for reader, own in by_reader.items():
        real = REAL_READERS[reader]
        jobs = [bench.job(trip, real.nir_version) for trip in own]
        recordings = run_jobs(python_of(real), real.runner, jobs, folder)
        for trip, recorded in zip(own, recordings, strict=True):
            source, reference = bench.reference(trip)
            found[trip] = agree(source, trip.file.case.x, reference, recorded, trip.late)
    return found


class _Bench:
    """Files and references, each made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._inputs: dict[str, Path] = {}
        self._references: dict[int, tuple[GraphSource, Recording]] = {}
        self._jobs = 0

    def job(self, trip: Trip, nir_version: str) -> Job:
        self._jobs += 1
        graph, case = trip.file.graph, trip.file.case
        assert graph is not None, "a refused file is not run"
        model = self.folder / f"{self._jobs}.nir"
        write_nir(model, graph, nir_version)
        output = self.folder / f"{self._jobs}.npz"
        return Job(model, self._input(case), output, trip.file.dt, trip.after)

    def reference(self, trip: Trip) -> tuple[GraphSource, Recording]:
        case = trip.file.case
        graph = trip.file.graph if trip.at_its_word else case.graph
        assert graph is not None
        if id(graph) not in self._references:
            self._references[id(graph)] = (
                _simulate(trip.file) if trip.at_its_word else case.reference()
            )
        return self._references[id(graph)]

    def _input(self, case: Case) -> Path:
        if case.name not in self._inputs:
            path = self.folder / f"input-{len(self._inputs)}.npz"
            np.savez(path, x=case.x.numpy())
            self._inputs[case.name] = path
        return self._inputs[case.name]


def _simulate(file: File) -> tuple[GraphSource, Recording]:
    assert file.graph is not None, "a refused file is not simulated"
    source = GraphSource(file.graph, file.dt, title=file.case.name)
    return source, source.run(file.case.x, torch.float64)
