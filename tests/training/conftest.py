from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpo_snn.data.shard_writer import write_shards
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.settings import MPOSettings
from mpo_snn.training.fit import fit, resume
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.recipe import DataSettings, OptimizerSettings, Recipe
from mpo_snn.training.rundir import Run, open_run

from .shard_images import write_images


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


def bytes_at(path: Path, train: int = 40) -> str:
    """An archive of so many and 20 images of bytes, of MNIST's size."""
    pixels = np.random.default_rng(0).integers(0, 256, (train, 28, 28), dtype=np.uint8)
    labels = np.arange(train) % 10
    np.savez(path, x_train=pixels, y_train=labels, x_test=pixels[:20], y_test=labels[:20])
    return str(path)


def rows(path: Path) -> list[dict[str, str]]:
    """Of a table that a run leaves behind."""
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def interrupted_and_resumed(recipe: Recipe, path: Path, step: int) -> Run:
    """A run that the user stops before a step, counted from 0, and goes on with."""
    original = TrainingModule.training_step

    def stop(self: TrainingModule, *arguments: Any) -> Any:
        if self.global_step == step:
            raise KeyboardInterrupt
        return original(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", stop)
        with pytest.raises(KeyboardInterrupt):
            fit(recipe, path, device="cpu")
    return resume(open_run(path, unfinished=True), device="cpu")


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of 30 and 9 images, seven in each; copy them before changing anything."""
    folder = tmp_path_factory.mktemp("shards")
    write_shards(write_images(folder / "images"), folder / "shards", images=7)
    return folder / "shards"


@pytest.fixture
def tiny() -> Recipe:
    return tiny_recipe()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run; copy its directory before changing anything in it."""
    output: Path = tmp_path_factory.mktemp("runs") / "tiny"
    return fit(tiny_recipe(), output, device="cpu")
