"""One sample against a simulation of it alone, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mpo_snn.errors import RecipeError
from mpo_snn.evaluation.one_sample import BINS, MOST_NEURONS, look_at_sample
from mpo_snn.evaluation.setting import Setting
from mpo_snn.graph import Simulator

DT, TIMESTEPS = 1e-4, 5
SETTING = Setting("noise", TIMESTEPS, DT, "direct", "mean", batch_size=4)


def test_spikes_and_membranes_are_those_of_the_sample(small):
    seen = look_at_sample(small.graph, small.dataset, SETTING, 7)
    x = small.dataset.test_x[7:8].expand(TIMESTEPS, 1, 1, 6, 6)
    run = Simulator(small.graph, DT).run(x, record="membrane")
    assert seen["label"] == int(small.dataset.test_y[7])
    assert seen["answer"] == int(run.output[:, 0].mean(0).argmax())
    assert [layer["name"] for layer in seen["layers"]] == ["lif1", "lif2", "lif3"]
    for layer in seen["layers"]:
        fired = run.spikes[layer["name"]][:, 0].flatten(1)
        shown = layer["shown_neurons"]
        assert len(shown) == min(fired.shape[1], MOST_NEURONS) == len(set(shown))
        by_hand = [[t, r] for t in range(TIMESTEPS) for r, n in enumerate(shown) if fired[t, n]]
        assert layer["spikes"] == by_hand
        assert layer["spike_count"] == int(fired.sum())
        v = run.v[layer["name"]][:, 0].flatten().double()
        node = small.graph.nodes[layer["name"]]
        theta = getattr(node, "v_threshold", getattr(node, "threshold", None)).flatten()[0]
        edges = np.linspace(-3, 3, BINS + 1)
        middle = BINS // 2
        in_bin = ((v / theta >= edges[middle]) & (v / theta < edges[middle + 1])).sum()
        assert layer["membrane_counts"][middle] == int(in_bin)
        beyond = ((v / theta < -3) | (v / theta > 3)).double().mean()
        assert layer["membrane_beyond_percent"] == pytest.approx(100 * float(beyond), abs=1e-9)


def test_no_such_sample(small):
    for index in (-1, 11):
        with pytest.raises(RecipeError, match="the split has 11, allowed is 0 to 10"):
            look_at_sample(small.graph, small.dataset, SETTING, index)


def test_a_threshold_of_zero_has_membranes_in_volt(small):
    small.graph.nodes["lif1"].v_threshold[:] = 0.0
    seen = look_at_sample(small.graph, small.dataset, SETTING, 0)
    assert [layer["membrane_unit"] for layer in seen["layers"]] == [
        "volt",
        "threshold",
        "threshold",
    ]
    assert torch.tensor(seen["layers"][0]["membrane_counts"]).sum() > 0
