"""Faults against bits flipped by hand, and against graphs that have the fault built in."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import comb
from types import SimpleNamespace

import nir
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.errors import RecipeError
from mpo_snn.evaluation import study_measure
from mpo_snn.evaluation.evaluate import evaluate_graph
from mpo_snn.evaluation.faults import NEVER, FaultyWires, faulty_graph, flip_bits
from mpo_snn.evaluation.robustness import LEVELS, measure_robustness, report_robustness, runs_of
from mpo_snn.evaluation.setting import Setting
from mpo_snn.graph import Simulator

DT, TIMESTEPS = 1e-4, 9
SETTING = Setting("noise", TIMESTEPS, DT, "direct", "mean", batch_size=4)


def byte_of(q):
    return q & 0xFF


def value_of(byte):
    return byte - 256 if byte >= 128 else byte


@settings(deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), share=st.sampled_from((0.0, 0.1, 0.5, 1.0)))
def test_bits_are_flipped_in_twos_complement(seed, share):
    weight = np.random.default_rng(seed).normal(size=(3, 5))
    flipped = flip_bits(weight, share, np.random.default_rng(seed + 1))
    draw = np.random.default_rng(seed + 1).random((3, 5, 8)) < share
    scale = np.abs(weight).max() / 127
    for place in np.ndindex(3, 5):
        stored = byte_of(int(np.rint(weight[place] / scale)))
        mask = sum(int(bit) << (7 - k) for k, bit in enumerate(draw[place]))
        assert flipped[place] == pytest.approx(value_of(stored ^ mask) * scale, abs=1e-12)
    assert np.array_equal(flip_bits(0 * weight, 1.0, np.random.default_rng(0)), 0 * weight)


def spikes_of(graph, x, transmit=None):
    return Simulator(graph, DT, torch.float64).run(x, record="spikes", transmit=transmit)


def chain(*, delay):
    rng = np.random.default_rng(2)
    one = np.ones(6)

    def lif():
        fields = {"tau": 2 * DT * one, "r": one, "v_leak": 0 * one, "v_reset": 0 * one}
        return nir.LIF(**fields, v_threshold=0.3 * one)

    nodes = {
        "input": nir.Input(np.array([4])),
        "fc1": nir.Linear(rng.normal(size=(6, 4))),
        "lif1": lif(),
        "fc2": nir.Linear(rng.normal(size=(6, 6))),
        "lif2": lif(),
        "output": nir.Output(np.array([6])),
    }
    names = list(nodes)
    edges = list(pairwise(names))
    if delay:
        nodes |= {"late1": nir.Delay(DT * one), "late2": nir.Delay(DT * one)}
        edges = [("input", "fc1"), ("fc1", "lif1"), ("lif1", "late1"), ("late1", "fc2")]
        edges += [("fc2", "lif2"), ("lif2", "late2"), ("late2", "output")]
    return nir.NIRGraph(nodes, edges)


def test_spikes_that_are_all_late_are_those_of_a_graph_with_delays():
    x = torch.rand(TIMESTEPS, 3, 4, generator=torch.Generator().manual_seed(0))
    wires = FaultyWires("clock_jitter", 1.0, 0)
    found, expected = spikes_of(chain(delay=False), x, wires), spikes_of(chain(delay=True), x)
    assert found.counts["lif2"].sum() > 5
    assert torch.equal(found.output, expected.output)
    for name in ("lif1", "lif2"):
        assert torch.equal(found.spikes[name], expected.spikes[name])


def test_spikes_that_are_all_dropped_leave_the_rest_alone(small):
    x = small.dataset.test_x.expand(TIMESTEPS, *small.dataset.test_x.shape)
    found = spikes_of(small.graph, x, FaultyWires("dropped_spikes", 1.0, 0))
    nodes = dict(small.graph.nodes)
    cut = {("lif1", "pool"), ("lif2", "flatten")}
    cut |= {("lif3", "loop"), ("lif3", "readout")}
    shapes = {"pool": (2, 6, 6), "flatten": (2, 3, 3)}
    shapes |= {"loop": (4,), "readout": (4,)}
    edges = [edge for edge in small.graph.edges if edge not in cut]
    for source, target in cut:  # silence: what was fired, times 0
        nodes[f"mute {target}"] = nir.Scale(np.zeros(shapes[target]))
        edges += [(source, f"mute {target}"), (f"mute {target}", target)]
    expected = spikes_of(nir.NIRGraph(nodes, edges), x)
    assert found.counts["lif1"].sum() > 0
    assert torch.equal(found.output, expected.output)
    for name in ("lif1", "lif2", "lif3"):
        assert torch.equal(found.spikes[name], expected.spikes[name])


@pytest.mark.parametrize("kind", ("dropped_spikes", "clock_jitter"))
def test_wires_lose_the_share_that_was_asked_for_at_any_chunk(kind):
    fired = torch.ones(40, 2, 500)
    arrived = FaultyWires(kind, 0.25, 3, 7)("lif", fired, 0)
    lost = 1.0 if kind == "dropped_spikes" else 1 / 40  # of those that are late, the last alone
    assert float(arrived.mean()) == pytest.approx(1 - 0.25 * lost, abs=0.01)
    parts = FaultyWires(kind, 0.25, 3, 7)
    again = [parts("lif", fired[a : a + 8], a) for a in range(0, 40, 8)]
    assert torch.equal(torch.cat(again), arrived)
    assert not torch.equal(FaultyWires(kind, 0.25, 4, 7)("lif", fired, 0), arrived)


@pytest.mark.parametrize("kind", ("dropped_spikes", "clock_jitter"))
@pytest.mark.parametrize("size", (1, 3))
def test_a_sample_loses_the_same_spikes_in_any_batch(kind, size):
    fired = torch.randint(4, (12, 7, 5, 3), generator=torch.Generator().manual_seed(0)).double()
    fired[:, 3] = fired[:, 3].clamp(max=1.0)  # a batch in which nothing fires several times
    whole = FaultyWires(kind, 0.25, 3)("lif", fired, 0)
    parts = [
        FaultyWires(kind, 0.25, 3, size * place)("lif", part, 0)
        for place, part in enumerate(fired.split(size, dim=1))
    ]
    assert torch.equal(torch.cat(parts, dim=1), whole)


def test_several_spikes_of_a_step_are_lost_one_by_one():
    arrived = FaultyWires("dropped_spikes", 0.25, 3)("lif", torch.full((20, 2, 500), 3.0), 0)
    for left in range(4):
        share = comb(3, left) * 0.75**left * 0.25 ** (3 - left)
        assert float((arrived == left).double().mean()) == pytest.approx(share, abs=0.01)


def test_results_do_not_depend_on_the_size_of_a_batch(small):
    found = [
        measure_robustness(small.graph, small.dataset, replace(SETTING, batch_size=size))
        for size in (1, 4, 11)
    ]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("size", (1, 4, 10))
def test_a_study_tells_its_noise_which_samples_a_batch_has(monkeypatch, size):
    monkeypatch.setattr(study_measure, "BATCH_SIZE", size)
    recipe = SimpleNamespace(timesteps=2, encoding="direct", readout="mean")
    x, y, seen = torch.eye(10), torch.arange(10), []

    def look(x, first):
        seen.append((first, len(x)))
        return x

    assert study_measure.accuracy_of(lambda x: x, recipe, x, y, "cpu", look) == 1.0
    assert seen == [(first, min(size, 10 - first)) for first in range(0, 10, size)]


def test_dead_neurons_and_jittered_thresholds(small):
    dead = faulty_graph(small.graph, "dead_neurons", 1.0, 0)
    assert all(not counts.any() for counts in evaluate(dead, small).spike_counts.values())
    same = faulty_graph(small.graph, "threshold_jitter", 0.0, 0)
    assert np.array_equal(same.nodes["lif1"].v_threshold, small.graph.nodes["lif1"].v_threshold)
    moved = faulty_graph(small.graph, "threshold_jitter", 0.2, 0).nodes["lif1"].v_threshold
    assert moved.std() == pytest.approx(0.2 * 0.3, rel=0.25) and moved.min() >= 0
    again = faulty_graph(small.graph, "threshold_jitter", 0.2, 0).nodes["lif1"].v_threshold
    other = faulty_graph(small.graph, "threshold_jitter", 0.2, 1).nodes["lif1"].v_threshold
    assert np.array_equal(moved, again) and not np.array_equal(moved, other)


def test_one_threshold_for_a_layer_is_one_for_each_of_its_neurons():
    """A file may state a value once; nodes that are one object in Python are two in a file."""
    one = nir.LIF(*(np.array([value]) for value in (2 * DT, 1.0, 0.0, 0.3)))
    names = ("input", "lif1", "fc", "lif2", "output")
    nodes = (nir.Input(np.array([500])), one, nir.Linear(np.eye(500)), one)
    nodes += (nir.Output(np.array([500])),)
    graph = nir.NIRGraph(
        dict(zip(names, nodes, strict=True)), list(pairwise(names)), type_check=False
    )
    Simulator(graph, DT)
    for name in ("lif1", "lif2"):
        dead = faulty_graph(graph, "dead_neurons", 0.2, 0).nodes[name].v_threshold
        assert np.mean(dead == NEVER) == pytest.approx(0.2, abs=0.05)
        moved = faulty_graph(graph, "threshold_jitter", 0.2, 0).nodes[name].v_threshold
        assert moved.shape == (500,) and moved.std() == pytest.approx(0.2 * 0.3, rel=0.15)
        Simulator(faulty_graph(graph, "threshold_jitter", 0.2, 0), DT)
    assert one.v_threshold == [0.3]


def evaluate(graph, small):
    return evaluate_graph(graph, small.dataset, SETTING).activity


def test_every_kind_runs_and_repeats(small):
    levels = measure_robustness(small.graph, small.dataset, SETTING, seeds=(0, 1))
    assert [(one.kind, one.level) for one in levels] == [
        (kind, level) for kind, found in LEVELS.items() for level in found
    ]
    again = measure_robustness(small.graph, small.dataset, SETTING, ["weight_bits"], (0, 1))
    assert again == [one for one in levels if one.kind == "weight_bits"]
    clean = evaluate(small.graph, small).accuracy_percent
    report = report_robustness(levels, 11, clean, (0, 1))
    row = report["levels"][0]
    by_hand = [100 * correct / 11 for correct in levels[0].correct]
    assert row["accuracies_percent"] == pytest.approx(by_hand)
    assert row["rr"] == pytest.approx(sum(by_hand) / 2 / clean)
    assert runs_of(["weight_bits", "gaussian"], (0, 1, 2)) == 30


def test_unknown_faults_and_noise_on_what_is_no_image(small):
    with pytest.raises(RecipeError, match=r"unknown fault 'rust': choose out of gaussian, salt"):
        measure_robustness(small.graph, small.dataset, SETTING, ["rust"])
    flat = type(small.dataset)(
        "events", torch.zeros(2, 4), torch.zeros(2, dtype=torch.long), torch.zeros(2, 4),
        torch.zeros(2, dtype=torch.long), ("a", "b"), "none",
    )  # fmt: skip
    with pytest.raises(
        RecipeError, match=r"are for images.*--robustness weight_bits,threshold_jitter,"
    ):
        measure_robustness(small.graph, flat, SETTING, ["gaussian"])
