"""A loss that is no number: which layer, or which part of the loss, is to blame."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mpo_snn.encoding import encode
from mpo_snn.networks import build_network
from mpo_snn.training.divergence import DivergedError, first_broken_layer, first_broken_part
from mpo_snn.training.fit import fit
from mpo_snn.training.recipe import OptimizerSettings, Recipe
from mpo_snn.unroll import Unrolled


def test_the_broken_layer_is_found(tiny: Recipe) -> None:
    torch.manual_seed(0)
    unrolled = Unrolled(build_network(tiny.network, tiny.neuron, (1, 8, 8), 10), 2)
    x = encode(torch.rand(3, 1, 8, 8), 2)
    assert first_broken_layer(unrolled, x) is None
    with torch.no_grad():
        unrolled.network.get_parameter("features.3.weight")[0, 0] = math.nan
    assert "is 'features.5'. A lower" in str(first_broken_layer(unrolled, x))
    infinite = encode(torch.full((1, 1, 8, 8), math.inf), 2)
    assert "the input has values" in str(first_broken_layer(unrolled, infinite))


def test_the_broken_part_is_told() -> None:
    parts = {"L_Dist": torch.tensor(math.inf), "L_width": torch.tensor(0.5)}
    told = first_broken_part(torch.tensor(2.3), parts)
    assert "what is added to it is not: L_Dist inf, L_width 0.5, each times its weight." in told
    assert "the read-out behind them is not" in first_broken_part(torch.tensor(math.nan), parts)


def test_a_weight_that_is_too_large_is_told_as_such(tiny: Recipe, tmp_path: Path) -> None:
    wild = replace(tiny, mpo=replace(tiny.mpo, lambda_dist=1e300))
    message = r"epoch 1, step 1: the loss is inf; .* so is the loss of the task.* L_Dist 0\.\d+"
    with pytest.raises(DivergedError, match=message):
        fit(wild, tmp_path / "run", device="cpu")


def test_training_stops_when_the_loss_is_no_number(tiny: Recipe, tmp_path: Path) -> None:
    wild = replace(tiny, optimizer=OptimizerSettings(lr=1e30, batch_size=480))
    with pytest.raises(DivergedError, match=r"epoch 1, step 2: the loss is (nan|inf)") as caught:
        fit(wild, tmp_path / "run", device="cpu")
    assert any(word in str(caught.value) for word in ("layer", "read-out", "added to it"))
    assert "optimizer.lr" in str(caught.value)
    assert not (tmp_path / "run" / "model.safetensors").exists()
