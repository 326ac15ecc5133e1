"""The counters side by side: python -m interop.counters.compare .interop (`make counters`).

Runs NeuroBench and SpikingJelly on every case and leaves what they said in
benchmarks/results/counters.json and the page in docs/agreement.md.
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

from benchmarks.command_line import command_line
from mpo_snn.evaluation.neurobench import neurobench_results

from .cases import BATCH, CountedCase, counted_cases
from .page import page
from .rules import Chain, Counts, neurobench_chains, spikingjelly_chains
from .run import COUNTERS, run_counter

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "counters.json"
PAGE = ROOT / "docs" / "agreement.md"
ENVIRONMENT = Path("counters") / "bin" / "python"

Told = dict[str, dict[str, dict[str, Any]]]
"""Counter -> case -> what it said."""


def main() -> int:
    """Run all, write the page; 1 where something is not explained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environments", type=Path, help="folder that make counters filled")
    python = (parser.parse_args().environments / ENVIRONMENT).absolute()
    start = time.monotonic()
    cases = counted_cases()
    told = tell(python, cases)
    compared = {case.name: compare(case, told) for case in cases}
    results = {
        "made_with": {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command_line(),
            "seconds": round(time.monotonic() - start, 1),
            "batch": BATCH,
        },
        "told": told,
        "compared": compared,
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(results), encoding="utf-8")
    left = [
        f"{name}: {counter} {chain['figure']} {chain['unexplained']:+}"
        for name, case in compared.items()
        for counter in COUNTERS
        for chain in case[counter]
        if chain["unexplained"]
    ]
    print("\n".join(left) if left else f"every difference is explained: {PAGE}, {RESULTS}")
    return 1 if left else 0


def tell(python: Path, cases: list[CountedCase]) -> Told:
    """What the real counters say of the cases."""
    with tempfile.TemporaryDirectory() as folder:
        return {name: run_counter(name, python, cases, Path(folder)) for name in COUNTERS}


def compare(case: CountedCase, told: Told) -> dict[str, Any]:
    """One case: our figures in NeuroBench's form, and a chain to every figure of the others."""
    counts = Counts(case)
    neurobench, spikingjelly = (told[counter][case.name] for counter in COUNTERS)
    activity = counts.evaluation.activity
    return {
        "samples": counts.samples,
        "correct": activity.correct,
        "spikes": sum(activity.spikes(name) for name in activity.spike_counts),
        "results": neurobench_results(counts.graph, counts.evaluation, counts.entering),
        "neurobench": [_plain(chain) for chain in neurobench_chains(counts, neurobench)],
        "spikingjelly": [_plain(chain) for chain in spikingjelly_chains(counts, spikingjelly)],
    }


def _plain(chain: Chain) -> dict[str, Any]:
    return {**asdict(chain), "unexplained": chain.unexplained}


if __name__ == "__main__":
    raise SystemExit(main())
