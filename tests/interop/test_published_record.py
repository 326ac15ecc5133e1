"""The NIR paper's own cases: where its single LIF fires, and a loop with a bias.

`test_round_trip` runs both in the readers as their profiles write them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from interop.files import File
from interop.paper import LIF_MEMBRANE, LIF_SPIKES, braille, single_lif
from interop.roundtrip import Trip, run_trips


def test_the_single_lif_fires_where_the_paper_says():
    _, run = single_lif().reference()
    assert tuple(run.spikes["lif"].nonzero()[:, 0].tolist()) == LIF_SPIKES
    for step, v in LIF_MEMBRANE.items():
        assert run.v["lif"][step].item() == pytest.approx(v, abs=1e-7)


def test_as_it_stands_a_biased_loop_differs_in_norse_by_the_bias_at_step_0(tmp_path):
    case = braille()
    trip = Trip(File(case, "nir", case.graph), "norse")
    (agreement,) = run_trips([trip], lambda real: Path(sys.executable), tmp_path).values()
    assert agreement.problem is None
    assert not (agreement.is_exact or agreement.is_rounding)
    assert agreement.jaccard > 0.5
