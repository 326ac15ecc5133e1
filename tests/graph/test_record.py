"""Counts are whole numbers, exact on both ways of adding up."""

from __future__ import annotations

import pytest
import torch

from mpo_snn.graph import counts
from mpo_snn.graph.fan_out import FanOut
from mpo_snn.graph.record import Recorder


@pytest.mark.parametrize("exact", [2**24, 0], ids=["products", "float64"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps", [1, 3], ids=["the same in all steps", "each step"])
def test_counts_are_those_of_the_spikes(monkeypatch, exact, dtype, steps):
    monkeypatch.setattr(counts, "EXACT", exact)
    generator = torch.Generator().manual_seed(0)
    spikes = (torch.rand(steps, 5, 2, 3, 4, generator=generator) < 0.4).to(dtype)
    fan_out = torch.randint(100_000, (2, 2, 3, 4), generator=generator).double()
    shapes, each = {"n": (2, 3, 4)}, {"n": FanOut(fan_out)}
    recorder = Recorder("counts", shapes, 6, 5, dtype, torch.device("cpu"), fan_out=each)
    recorder.add("n", spikes, None, 0, 3)
    recorder.add("n", spikes, None, 3, 6)
    over_time = spikes.double().sum(0) * (6 // steps)
    found = recorder.counts["n"]
    assert found.of_neurons.dtype == torch.float64
    assert torch.equal(found.of_neurons, over_time.sum(0))
    assert torch.equal(found.of_samples, over_time.flatten(1).sum(1))
    driven = [[(sample * one).sum() for one in fan_out] for sample in over_time]
    assert torch.equal(found.driven, torch.tensor(driven, dtype=torch.float64))


def test_more_spikes_than_float32_can_count():
    """One neuron more than 2^24, all firing: float32 would lose it."""
    size = 2**24 + 1
    recorder = Recorder("counts", {"n": (size,)}, 1, 1, torch.float32, torch.device("cpu"))
    recorder.add("n", torch.ones(1, 1, size), None, 0, 1)
    assert recorder.counts["n"].of_samples.tolist() == [size]
