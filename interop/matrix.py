"""The matrix of networks and readers: python -m interop.matrix .interop [--seeds 400-407].

Runs every network, as every profile writes it, in the real readers, and leaves the figures in
benchmarks/results/interop.json and the page in docs/interop.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nir
import numpy as np

from benchmarks.command_line import command_line
from mpo_snn.export.foldings.flow import Flow
from mpo_snn.export.readers import READERS
from mpo_snn.graph.check import find_faults

from .agreement import Agreement
from .cases import BATCH, TIMESTEPS, graph_cases, network_cases, random_cases
from .files import PLAIN, File, predict, write
from .page import page
from .paper import paper_cases
from .readers import REAL_READERS, RealReader
from .roundtrip import Trip, run_trips
from .wild import wild_cases

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "interop.json"
PAGE = ROOT / "docs" / "interop.md"
PORTABLE = ("snntorch", "norse", "spikingjelly")


def main() -> None:
    """Run all and write the page."""
    given = _arguments()
    start = time.monotonic()

    def python_of(real: RealReader) -> Path:
        return given.environments / real.environment / "bin" / "python"

    cases = [*network_cases(), *graph_cases(), *paper_cases(), *random_cases(given.seeds)]
    cases += wild_cases(given.seeds[:2])
    files = [write(case, profile) for case in cases for profile in READERS]
    with tempfile.TemporaryDirectory() as folder:
        own = [
            Trip(f, reader, f.after, f.late)
            for f in files
            if f.graph
            for reader in _home(f.profile)
        ]
        own = [trip for trip in own if trip.reader in given.readers]
        foreign = [
            _foreign_trip(f, reader)
            for f in files
            if f.graph and not find_faults(f.graph, f.dt)
            for reader in _foreign_readers(f.profile)
            if reader in given.readers and _is_writable(f.graph, REAL_READERS[reader])
        ]
        agreements = run_trips([*own, *foreign], python_of, Path(folder))
    results = {
        "made_with": {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command_line(),
            "seconds": round(time.monotonic() - start, 1),
            "timesteps": TIMESTEPS,
            "batch": BATCH,
            "readers": sorted({a.version for a in agreements.values()}),
        },
        "own": [
            _own(f, reader, agreements)
            for f in files
            for reader in _home(f.profile)
            if reader in given.readers
        ],
        "foreign": [_foreign(trip, agreements[trip]) for trip in foreign],
    }
    RESULTS.write_text(_as_lines(results), encoding="utf-8")
    PAGE.write_text(page(results), encoding="utf-8")
    print(f"{len(agreements)} runs in {results['made_with']['seconds']} s: {PAGE}, {RESULTS}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environments", type=Path, help="folder that make readers filled")
    parser.add_argument("--seeds", type=_seeds, default=_seeds("400-407"), help="random graphs")
    parser.add_argument("--readers", nargs="+", default=list(REAL_READERS), help="only these")
    return parser.parse_args()


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _home(profile: str) -> tuple[str, ...]:
    """The readers that a profile writes for."""
    if profile == "portable":
        return PORTABLE
    return (profile,) if profile in REAL_READERS else ()


def _is_writable(graph: nir.NIRGraph, real: RealReader) -> bool:
    """Whether the nir version of a reader can state the graph; 1.0.4 has no v_reset."""
    resets = (np.any(getattr(node, "v_reset", 0.0)) for node in graph.nodes.values())
    return real.nir_version != "1.0.4" or not any(resets)


def _foreign_trip(file: File, reader: str) -> Trip:
    """A file at its word in any reader, with what the reader needs after loading any file."""
    profile = READERS[reader]
    flow = Flow.of(file.graph, file.dt)
    return Trip(file, reader, profile.after(None), profile.late(flow), at_its_word=True)


def _foreign_readers(profile: str) -> list[str]:
    """Readers that are given the files of a profile; spyx compiles each, so it gets fewer."""
    return [r for r in REAL_READERS if r != "spyx" or profile in (PLAIN, "spyx")]


def _own(file: File, reader: str, agreements: dict[Trip, Agreement]) -> dict[str, Any]:
    cell = {"network": file.case.name, "file": file.profile, "reader": reader}
    if file.graph is None:
        return {**cell, "verdict": "refused", "reasons": file.refusal}
    agreement = agreements[Trip(file, reader, file.after, file.late)]
    return {**cell, "after": file.after, "late": file.late, **_figures(agreement)}


def _foreign(trip: Trip, agreement: Agreement) -> dict[str, Any]:
    figures = _figures(agreement)
    return {
        "network": trip.file.case.name,
        "file": trip.file.profile,
        "reader": trip.reader,
        "predicted": predict(trip.file, trip.reader),
        **{key: figures[key] for key in ("verdict", "identical", "jaccard", "problem")},
    }


def _figures(agreement: Agreement) -> dict[str, Any]:
    verdict = "different"
    if agreement.problem is not None:
        verdict = "fails"
    elif agreement.is_exact:
        verdict = "exact"
    elif agreement.is_rounding:
        verdict = "ties" if agreement.ties == agreement.roots else "rounding"
    return {"verdict": verdict, **asdict(agreement)}


def _as_lines(results: dict[str, Any]) -> str:
    """JSON with one line a run."""
    parts = [f'"made_with": {json.dumps(results["made_with"])}']
    for key in ("own", "foreign"):
        rows = ",\n".join(json.dumps(row) for row in results[key])
        parts.append(f'"{key}": [\n{rows}\n]')
    return "{" + ",\n".join(parts) + "}\n"


if __name__ == "__main__":
    main()
