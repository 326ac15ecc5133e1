"""Batches of one sample are refused where batchnorm cannot take them, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from mpo_snn.errors import RecipeError
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.training.fit import fit
from mpo_snn.training.recipe import DataSettings, OptimizerSettings, Recipe

Kind = Literal["direct", "rate"]


def recipe(
    network: str,
    samples: int,
    size: int,
    steps: int,
    encoding: Literal["direct", "rate"] = "direct",
) -> Recipe:
    dense = NetworkSettings("mlp", hidden=(4,))
    return Recipe(
        name="small",
        epochs=2,
        timesteps=steps,
        encoding=encoding,
        data=DataSettings("digits", train_limit=samples, test_limit=10),
        network=dense if network == "mlp" else NetworkSettings("convnet", (4,)),
        optimizer=OptimizerSettings(batch_size=size),
    )


@pytest.mark.parametrize(("samples", "size"), [(10, 1), (13, 2), (1, 8)])
def test_one_sample_without_time_or_place(samples: int, size: int, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        fit(recipe("mlp", samples, size, 1), tmp_path / "run", device="cpu")
    assert "the smallest batch has one sample, and batchnorm needs two values" in str(caught.value)
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_early_timesteps_count(tmp_path: Path) -> None:
    early = replace(recipe("mlp", 11, 2, 4, "rate"), early_timesteps=1, early_epochs=1)
    with pytest.raises(RecipeError, match="the smallest batch has one sample"):
        fit(early, tmp_path / "run", device="cpu")


@pytest.mark.parametrize(
    "fine",
    [
        recipe("mlp", 11, 2, 2, "rate"),
        recipe("mlp", 10, 2, 1),
        recipe("mlp", 10, 3, 1),
        recipe("convnet", 9, 1, 1),
    ],
)
def test_what_trains_is_not_refused(fine: Recipe, tmp_path: Path) -> None:
    assert fit(fine, tmp_path / "run", device="cpu").finished
