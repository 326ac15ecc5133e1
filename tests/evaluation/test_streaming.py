"""No mode of `mpo-evaluate` holds more than a batch of the data set, whatever its size."""

from __future__ import annotations

import dataclasses
import json

import nir
import pytest
import torch

from mpo_snn.cli.evaluate import main
from mpo_snn.data import for_graph
from mpo_snn.data.corruptions import corrupt, data_range
from mpo_snn.evaluation.robustness import LEVELS, measure_robustness
from mpo_snn.evaluation.setting import Setting
from mpo_snn.graph import Simulator

from .conftest import DT, TIMESTEPS, small_dataset, small_graph

SAMPLES, BATCH = 23, 4
RUN = f"--data noise --timesteps {TIMESTEPS} --dt {DT} --encoding direct --readout mean"
MODES = {
    "plain": "",
    "noise on the input": "--robustness gaussian,salt_and_pepper --seeds 1",
    "faults of hardware": "--robustness weight_bits,threshold_jitter,dead_neurons,"
    "dropped_spikes,clock_jitter --seeds 1",
    "neurobench": "--format neurobench",
    "one sample": f"--sample {SAMPLES - 1}",
    "every step": "--recompute-input --events never",
}


class Watched:
    """Samples that keep the size of every slice that was asked of them."""

    def __init__(self, x):
        self.x, self.shape, self.dtype = x, x.shape, x.dtype
        self.asked = []

    def __len__(self):
        return len(self.x)

    def __getitem__(self, which):
        part = self.x[which]
        self.asked.append(len(part) if isinstance(which, slice | list) else 1)
        return part


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    """`mpo-evaluate` on samples of ours; gives its report without where and when."""
    nir.write(tmp_path / "graph.nir", small_graph())

    def run(test_x, mode):
        dataset = dataclasses.replace(small_dataset(SAMPLES), test_x=test_x)
        monkeypatch.setattr(for_graph, "load_for_graph", lambda *_, **__: dataset)
        command = [str(tmp_path / "graph.nir"), *f"{RUN} --batch-size {BATCH} {mode}".split()]
        assert main(command) == 0
        return json.loads((tmp_path / "graph.report.json").read_text())

    return run


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_no_slice_is_larger_than_a_batch(evaluate, capsys, mode):
    x = small_dataset(SAMPLES).test_x
    x[-1], x[0] = 3 * x[-1], x[0] - 2  # the ends of the range stand in the first and last batch
    watched = Watched(x)
    report = evaluate(watched, mode)
    assert max(watched.asked) <= BATCH and sum(watched.asked) >= SAMPLES
    assert report["summary"]["samples"] == SAMPLES


def test_noise_stays_within_the_range_of_the_whole_split():
    dataset = small_dataset(SAMPLES)
    x = dataset.test_x
    x[-1] = torch.linspace(-1, 4, x[-1].numel()).reshape(x[-1].shape)
    setting = Setting("noise", TIMESTEPS, DT, "direct", "mean", batch_size=BATCH)
    found = measure_robustness(small_graph(), dataset, setting, ["gaussian"], (0, 1))
    assert [one.correct for one in found] == [
        tuple(right_answers(dataset, level, seed, data_range(x)) for seed in (0, 1))
        for level in LEVELS["gaussian"]
    ]


def right_answers(dataset, level, seed, within):
    simulator, right = Simulator(small_graph(), DT), 0
    for start in range(0, SAMPLES, BATCH):
        x, y = (all_of[start : start + BATCH] for all_of in (dataset.test_x, dataset.test_y))
        noisy = corrupt(x, "gaussian", level, within, seed, start)
        output = simulator.run(noisy.expand(TIMESTEPS, *noisy.shape)).output
        right += int((output.mean(0).argmax(1) == y).sum())
    return right
