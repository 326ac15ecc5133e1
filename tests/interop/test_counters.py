"""This project's counts against NeuroBench and SpikingJelly, rule by rule, to the last operation.

The real packages run where `make counters` has installed them; what they said is on record.
"""

from __future__ import annotations

import json

import pytest

from interop.counters.cases import CountedCase, counted_cases
from interop.counters.compare import ENVIRONMENT, RESULTS, ROOT, compare, tell

PYTHON = ROOT / ".interop" / ENVIRONMENT
FORM = ("ConnectionSparsity", "ParameterCount", "ClassificationAccuracy", "ActivationSparsity")


@pytest.fixture(scope="module")
def cases() -> list[CountedCase]:
    return counted_cases()


def check(cases, told):
    for case in cases:
        found = compare(case, told)
        neurobench = told["neurobench"][case.name]
        theirs, ours = neurobench["results"], found["results"]
        left = [c for k in told for c in found[k] if c["unexplained"]]
        assert not left, case.name
        assert ours.keys() == theirs.keys()
        assert ours["SynapticOperations"] == pytest.approx(theirs["SynapticOperations"], rel=1e-12)
        for figure in FORM:  # accuracy is computed in float32 there
            assert ours[figure] == pytest.approx(theirs[figure], rel=1e-7), figure
        assert theirs["Footprint"] == ours["Footprint"] + neurobench["buffer_bytes"]
        fired = told["spikingjelly"][case.name]["results"]
        assert (found["spikes"], found["correct"]) == (fired["spikes"], fired["correct"])


def test_every_figure_on_record_is_reached(cases):
    told = json.loads(RESULTS.read_text(encoding="utf-8"))["told"]
    check(cases, told)
    assert all(
        told["neurobench"][case.name]["results"]["ClassificationAccuracy"] > 0.8 for case in cases
    ), "a trained network is to be compared"


@pytest.mark.skipif(not PYTHON.exists(), reason="the counters are not installed: make counters")
def test_every_figure_of_the_real_packages_is_reached(cases):
    check(cases, tell(PYTHON, cases))


def test_a_wrong_figure_is_noticed(cases):
    told = json.loads(RESULTS.read_text(encoding="utf-8"))["told"]
    told["spikingjelly"]["pooled"]["results"]["mac"] += 1
    (pooled,) = (case for case in cases if case.name == "pooled")
    chains = compare(pooled, told)["spikingjelly"]
    assert {c["figure"]: c["unexplained"] for c in chains} == {"MAC": 1, "SynOps": 0, "AC": 0}
