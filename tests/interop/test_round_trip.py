"""Files go through the real snnTorch, Norse and nirtorch and come back with the same spikes.

`make interop` does this for all readers, each in its own environment; these three live in ours.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from interop.cases import Case, graph_cases, network_cases, random_cases
from interop.files import write
from interop.paper import paper_cases
from interop.roundtrip import Trip, run_trips
from mpo_snn.export.readers import READERS

HERE = tuple(reader for reader in ("snntorch", "norse", "nirtorch") if reader in READERS)
NAMES = (
    "mlp",
    "mlp, ties",
    "mlp, IF",
    "mlp, leak and threshold per neuron",
    "mlp, subtract next",
    "convnet, average pooling",
    "residual, identity skip",
    "recurrent, bias in the loop",
)
REFUSED = {("norse", "mlp, subtract next"), ("nirtorch", "mlp, subtract next")}


def here(real: object) -> Path:
    return Path(sys.executable)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    made = [*network_cases(), *graph_cases()]
    return [*(c for c in made if c.name in NAMES), *paper_cases(), *random_cases(range(3))]


@pytest.mark.parametrize("reader", HERE)
def test_what_is_written_for_a_reader_runs_spike_for_spike(cases, reader, tmp_path):
    files = [write(case, profile) for case in cases for profile in (reader, "portable")]
    refused = {(f.profile, f.case.name) for f in files if f.graph is None}
    assert {r for r in refused if r[0] == reader} <= REFUSED
    trips = [Trip(f, reader, f.after) for f in files if f.graph is not None]
    agreements = run_trips(trips, here, tmp_path)
    wrong = {
        f"{t.file.case.name} ({t.file.profile})": a.problem or (a.identical, a.jaccard)
        for t, a in agreements.items()
        if not (a.is_exact or a.is_rounding)
    }
    assert not wrong
    assert all(a.layers for a in agreements.values()), "hidden layers are to be compared too"


def test_every_network_fires_in_every_layer(cases):
    for case in cases:
        _, run = case.reference()
        densities = [spikes.double().mean().item() for spikes in run.spikes.values()]
        assert all(0.003 < density < 0.9 for density in densities), (case.name, densities)
