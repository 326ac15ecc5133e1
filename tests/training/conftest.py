from __future__ import annotations

from pathlib import Path

import pytest

from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.settings import MPOSettings
from mpo_snn.training.fit import fit
from mpo_snn.training.recipe import DataSettings, OptimizerSettings, Recipe
from mpo_snn.training.rundir import Run


def tiny_recipe() -> Recipe:
    """Four epochs of three steps, with dropout and every part of MPO, in about a second."""
    return Recipe(
        name="tiny",
        epochs=4,
        timesteps=2,
        data=DataSettings("digits"),
        network=NetworkSettings("convnet", (4, 4), dropout=0.3, init="torch"),
        mpo=MPOSettings(lambda_dist=0.01, height="stabilised", neuron_gain=True),
        optimizer=OptimizerSettings(lr=5e-3, batch_size=480, warmup_epochs=0.5),
    )


@pytest.fixture
def tiny() -> Recipe:
    return tiny_recipe()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run; copy its directory before changing anything in it."""
    output: Path = tmp_path_factory.mktemp("runs") / "tiny"
    return fit(tiny_recipe(), output, device="cpu")
