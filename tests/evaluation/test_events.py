"""Evaluating on events, and in batches that stay near, changes the time and nothing else."""

from __future__ import annotations

import resource
from dataclasses import replace
from itertools import pairwise

import nir
import numpy as np
import pytest

from mpo_snn.evaluation.evaluate import evaluate_graph
from mpo_snn.evaluation.setting import Setting
from mpo_snn.graph import by_density, simulate
from mpo_snn.graph.freed_memory import keep_freed_memory
from mpo_snn.kernels.event_conv import is_available

SETTING = Setting("noise", 3, 1e-4, "direct", "mean", batch_size=8)


@pytest.fixture
def graph():
    rng = np.random.default_rng(4)
    one, last = np.ones((32, 6, 6)), np.ones(1152)
    weight = 0.3 * rng.standard_normal((32, 32, 3, 3))
    nodes = {
        "input": nir.Input({"input": np.array([32, 6, 6])}),
        "lif": nir.LIF(2e-4 * one, 2 * one, 0 * one, 1.2 * one, 0 * one),
        "conv": nir.Conv2d((6, 6), weight, 1, 1, 1, 1, rng.standard_normal(32)),
        "lif2": nir.LIF(2e-4 * one, 2 * one, 0 * one, one, 0 * one),
        "flat": nir.Flatten({"input": np.array([32, 6, 6])}, 0, -1),
        "readout": nir.Affine(rng.standard_normal((3, last.size)), rng.standard_normal(3)),
        "output": nir.Output({"output": np.array([3])}),
    }
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)))


def figures(evaluation):
    """All that is counted, and every answer."""
    activity = evaluation.activity
    counted = [*activity.spike_counts.values(), *activity.class_spikes.values()]
    return activity.correct, [tensor.tolist() for tensor in counted], evaluation.synapses


@pytest.mark.skipif(not is_available(), reason="numba is optional: pip install 'mpo-snn[fast]'")
def test_events_change_no_figure(graph, make_dataset, monkeypatch):
    monkeypatch.setattr(by_density, "WORTH", 0)
    dataset = make_dataset(40, (32, 6, 6))
    auto = evaluate_graph(graph, dataset, SETTING)
    never = evaluate_graph(graph, dataset, replace(SETTING, events="never"))
    assert figures(auto) == figures(never)
    assert (auto.on_events, never.on_events) == (("conv",), ())
    assert 0 < auto.activity.density("lif") < by_density.ENTER


def test_batches_that_stay_near_change_no_figure(graph, make_dataset, monkeypatch):
    dataset = make_dataset(20, (32, 6, 6))
    whole = evaluate_graph(graph, dataset, SETTING)
    sizes = []
    monkeypatch.setattr(simulate, "NEAR_BYTES", 3 * 3 * 4 * (4 * 32 * 36 + 2 * 1152 + 3))
    near = evaluate_graph(graph, dataset, SETTING, progress=sizes.append)
    assert figures(near) == figures(whole)
    assert max(sizes) == 3
    assert sum(sizes) == 20


@pytest.mark.skipif(not keep_freed_memory(), reason="only glibc can be told")
def test_freed_memory_is_there_for_the_next_array():
    def pages():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        bytearray(2**26)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    pages()
    assert pages() < 2**26 / resource.getpagesize() / 10
