"""A run goes on with the data that it began with, or not at all."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from mpo_snn.errors import RunError
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.training.fit import resume
from mpo_snn.training.recipe import DataSettings, OptimizerSettings, Recipe
from mpo_snn.training.rundir import Run, open_run, read_environment, write_environment

from .conftest import interrupted_and_resumed


def write(
    folder: Path, names: Sequence[str], train: int = 12, test: int = 6, side: int = 8, seed: int = 0
) -> None:
    for split, count in (("train", train), ("test", test)):
        rng = np.random.default_rng([seed, len(split)])
        rows = []
        for _ in range(count):
            stream = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (side, side), dtype=np.uint8)).save(stream, "PNG")
            rows.append(stream.getvalue())
        table = pyarrow.table({"image": rows, "label": [k % 2 for k in range(count)]})
        table = table.replace_schema_metadata({"classes": json.dumps(names)})
        folder.mkdir(exist_ok=True)
        pyarrow.parquet.write_table(table, folder / f"{split}.parquet")


@pytest.fixture
def unfinished(tmp_path: Path) -> Run:
    """Two epochs done on 12 images of a cat or a dog."""
    write(tmp_path / "data", ["cat", "dog"])
    recipe = Recipe(
        name="small",
        epochs=2,
        timesteps=2,
        data=DataSettings("archive", str(tmp_path / "data")),
        network=NetworkSettings("convnet", (2,)),
        optimizer=OptimizerSettings(batch_size=6),
    )
    run = interrupted_and_resumed(recipe, tmp_path / "run", 3)
    (run.path / "model.safetensors").unlink()
    return open_run(run.path, unfinished=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda to: write(to, ["cat", "emu"]), "class 1 is 'emu', not 'dog'"),
        (lambda to: write(to, ["cat", "dog", "emu"]), "3 classes, not 2"),
        (lambda to: write(to, ["cat", "dog"], train=10), "10 training samples, not 12"),
        (lambda to: write(to, ["cat", "dog"], side=10), "samples of 1x10x10, not 1x8x8"),
        (
            lambda to: write(to, ["a", "b"], train=8, test=4),
            "8 training samples, not 12; 4 samples evaluated on, not 6; class 0 is 'a', not 'cat'",
        ),
        (
            lambda to: write(to, ["cat", "dog"], seed=1),
            "training samples with other content; samples evaluated on with other content",
        ),
    ],
)
def test_other_data_is_refused(
    change: Callable[[Path], None], message: str, unfinished: Run, tmp_path: Path
) -> None:
    change(tmp_path / "data")
    before = read_environment(unfinished.path)
    with pytest.raises(RunError) as caught:
        resume(unfinished, device="cpu")
    expected = f"the data is not what this run began with: {message}. Put it back as it was, or"
    assert expected in str(caught.value)
    assert read_environment(unfinished.path) == before


def test_the_same_data_written_anew_goes_on(unfinished: Run, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "data")
    write(tmp_path / "data", ["cat", "dog"])
    assert resume(unfinished, device="cpu").finished


def test_runs_that_noted_less_go_on(unfinished: Run, tmp_path: Path) -> None:
    """Of earlier versions; what they noted counts all the same."""
    environment = read_environment(unfinished.path)
    for key in ("class_names", "input_shape", "train_digest", "evaluated_digest"):
        del environment["data"][key]
    write(tmp_path / "data", ["cat", "dog"], seed=1)  # of which they say nothing
    write_environment(unfinished.path, environment)
    assert resume(unfinished, device="cpu").finished
    (unfinished.path / "model.safetensors").unlink()
    environment["data"]["train_samples"] = 13
    write_environment(unfinished.path, environment)
    with pytest.raises(RunError, match="12 training samples, not 13"):
        resume(unfinished, device="cpu")
