"""Several processes over gloo train one network as a single process does with the whole batch."""

from __future__ import annotations

import csv
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback

from mpo_snn import files
from mpo_snn.errors import MpoError
from mpo_snn.export.nir_export import export_nir
from mpo_snn.networks import build_network
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.settings import MPOSettings
from mpo_snn.training import callbacks, rundir, strategy, weights
from mpo_snn.training.checkpoint import read_checkpoint
from mpo_snn.training.device import meet
from mpo_snn.training.divergence import DivergedError
from mpo_snn.training.fit import fit, resume
from mpo_snn.training.fit import start as begin
from mpo_snn.training.interruption import LostProcessError
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.ranks import Rank, gathered, is_told, on_first
from mpo_snn.training.recipe import DataSettings, OptimizerSettings, Recipe
from mpo_snn.training.rundir import CHECKPOINT, create_run, open_run, read_environment
from mpo_snn.training.running_statistics import RunningStatistics
from mpo_snn.training.strategy import with_shared_batchnorm
from mpo_snn.training.weights import read_weights
from mpo_snn.unroll import Unrolled
from tests.several import exit_codes, start


def recipe(**changes: Any) -> Recipe:
    """The paper's whole method on 63 digits, in batches of 31 and 32, without batchnorm."""
    whole = MPOSettings(
        width_follows="spread",
        width_scale=1.0,
        width_scale_end=0.5,
        lambda_dist=0.05,
        height="stabilised",
        height_rate=0.1,
        neuron_gain=True,
    )
    made = Recipe(
        name="shared",
        epochs=3,
        timesteps=3,
        data=DataSettings("digits", train_limit=63, test_limit=50),
        network=NetworkSettings("mlp", hidden=(16, 12), normalise=False),
        mpo=whole,
        optimizer=OptimizerSettings(lr=5e-3, batch_size=32),
    )
    return replace(made, **changes)


def train(made: Recipe, output: Path) -> None:
    fit(made, output, device="cpu")


def both(made: Recipe, folder: Path, count: int = 2) -> tuple[Path, Path]:
    started = start(count, train, made, folder / "several")
    alone = fit(made, folder / "alone", device="cpu").path
    assert exit_codes(started) == [0] * count
    return alone, folder / "several"


def assert_equal_runs(a: Path, b: Path, tolerance: float) -> None:
    first, second = (read_weights(run / "model.safetensors")[0] for run in (a, b))
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(second[name], first[name], rtol=tolerance, atol=tolerance / 10)
    for table in ("metrics.csv", "membrane.csv"):
        rows = [list(csv.reader((run / table).read_text().splitlines())) for run in (a, b)]
        assert len(rows[0]) == len(rows[1])
        for one, other in zip(*rows, strict=True):
            for x, y in zip(one, other, strict=True):
                assert x == y or float(y) == pytest.approx(float(x), rel=tolerance, abs=2e-6)


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    alone, several = both(recipe(), tmp_path)
    assert_equal_runs(alone, several, 1e-5)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            {
                "mpo": replace(
                    recipe().mpo,
                    width_update="gradient",
                    width_pull=True,
                    width_follows="reach",
                    target_mean="threshold",
                    granularity="channel",
                    height_norm="rms",
                ),
                "network": NetworkSettings("convnet", (4, 4), normalise=False),
                "optimizer": OptimizerSettings("sgd", lr=0.05, batch_size=32),
                "loss": "tet",
                "tet_lambda": 0.1,
            },
            id="every gradient of MPO",
        ),
        pytest.param({"method": "recdis"}, id="recdis"),
        pytest.param({"method": "dspike", "epochs": 2}, id="dspike"),
    ],
)
def test_other_parts_and_methods(change: dict[str, Any], tmp_path: Path) -> None:
    alone, several = both(recipe(**change), tmp_path, 3)
    assert_equal_runs(alone, several, 2e-5)


def train_and_kill(made: Recipe, output: Path, rank: str, step: int) -> None:
    original = TrainingModule.training_step

    def training_step(self: TrainingModule, *arguments: Any) -> Any:
        if self.global_step == step and os.environ["RANK"] == rank:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, *arguments)

    TrainingModule.training_step = training_step  # type: ignore[method-assign]
    with pytest.raises(LostProcessError, match="--resume"):
        fit(made, output, device="cpu")


def go_on(output: Path) -> None:
    resume(open_run(output, unfinished=True), device="cpu")


DROPPING = recipe(network=NetworkSettings("convnet", (4, 4), dropout=0.2))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "run"
    assert exit_codes(start(2, train, DROPPING, output)) == [0, 0]
    return output


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_is_killed_and_the_run_resumed(rank: int, whole: Path, tmp_path: Path) -> None:
    codes = exit_codes(start(2, train_and_kill, DROPPING, tmp_path / "killed", str(rank), 3))
    assert codes[rank] == -signal.SIGKILL and codes[1 - rank] == 0
    assert read_checkpoint(tmp_path / "killed" / CHECKPOINT)["epoch"] == 0
    assert exit_codes(start(2, go_on, tmp_path / "killed")) == [0, 0]
    for name in ("model.safetensors", "metrics.csv", "membrane.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (whole / name).read_bytes()
    starts = read_environment(tmp_path / "killed")["starts"]
    assert [begin["epochs_done"] for begin in starts] == [0, 1]


def test_a_run_goes_on_with_another_number_of_processes(tmp_path: Path) -> None:
    alone = fit(recipe(), tmp_path / "alone", device="cpu").path
    exit_codes(start(2, train_and_kill, recipe(), tmp_path / "changed", "1", 3))
    assert exit_codes(start(3, go_on, tmp_path / "changed")) == [0, 0, 0]
    assert_equal_runs(alone, tmp_path / "changed", 1e-5)


def test_only_the_first_writes(tmp_path: Path) -> None:
    started = start(2, train_watched, recipe(epochs=1), tmp_path / "run")
    assert exit_codes(started) == [0, 0]
    assert {path.name for path in (tmp_path / "run").rglob("*") if path.is_file()} == {
        *("recipe.yaml", "environment.json", "metrics.csv", "membrane.csv"),
        *("last.ckpt", "model.safetensors"),
    }
    assert read_environment(tmp_path / "run")["processes"] == 2


def train_watched(made: Recipe, output: Path) -> None:
    if os.environ["RANK"] != "0":
        for name in ("replace_file", "make_folder"):
            setattr(files, name, lambda *_: os._exit(9))
        for module in (callbacks, rundir, weights):
            module.write_file = lambda *_: os._exit(9)  # type: ignore[attr-defined]
    fit(made, output, device="cpu")


def diverge(made: Recipe, output: Path) -> None:
    """The samples of the second process alone are to blame; all say the same."""
    original = TrainingModule.training_step

    def training_step(self: TrainingModule, batch: Any, number: int) -> Any:
        if os.environ["RANK"] == "1":
            batch = (batch[0] * float("nan"), batch[1])
        return original(self, batch, number)

    TrainingModule.training_step = training_step  # type: ignore[method-assign]
    with pytest.raises(DivergedError, match="step 1: the loss is nan; the input has values"):
        fit(made, output, device="cpu")


def test_divergence_in_one_process_stops_all(tmp_path: Path) -> None:
    assert exit_codes(start(2, diverge, recipe(), tmp_path / "run")) == [0, 0]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"optimizer": OptimizerSettings(batch_size=1)}, "the smallest batch has 1, and each"),
    ({"data": DataSettings("digits", test_limit=1)}, "accuracy on 1 samples in 2 processes"),
    ({"network": NetworkSettings("convnet", (2,) * 6)}, r"fewer network\.channels"),
]


def refuse(output: Path) -> None:
    for change, message in REFUSED:
        with pytest.raises(MpoError, match=message) as found:
            fit(recipe(**change), output, device="cpu")
        assert is_told(found.value) == (os.environ["RANK"] != "0")


def test_what_cannot_be_is_refused_by_all_and_told_by_one(tmp_path: Path) -> None:
    assert exit_codes(start(2, refuse, tmp_path / "run")) == [0, 0]
    assert not (tmp_path / "run").exists()


class SameEverywhere(Callback):
    """After every epoch, all processes have the same network, gains and rows."""

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        network, mpo = pl_module.unrolled.network.state_dict(), pl_module.mpo.state_dict()
        gains = {name: state["gain"] for name, state in mpo.items()}
        tensors = [value for _, value in sorted((network | gains).items())]
        rows = [callback.rows for callback in trainer.callbacks if hasattr(callback, "rows")]
        first, *others = gathered((tensors, rows))
        for other in others:
            assert all(torch.equal(a, b) for a, b in zip(first[0], other[0], strict=True))
            assert other[1] == first[1]


def train_and_compare(made: Recipe, output: Path) -> None:
    meet("cpu")
    begin(on_first(lambda: create_run(made, output)), device="cpu", callbacks=[SameEverywhere()])


def test_all_processes_have_one_network_with_batchnorm_too(tmp_path: Path) -> None:
    made = recipe(epochs=2, network=NetworkSettings("convnet", (4, 4), dropout=0.2))
    assert exit_codes(start(2, train_and_compare, made, tmp_path / "run")) == [0, 0]


def test_batchnorm_is_shared_on_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what can be seen without one: torch's SyncBatchNorm runs nowhere else."""
    made = recipe(network=NetworkSettings("convnet", (4, 4)))
    network = build_network(made.network, made.neuron, (1, 8, 8), 10).eval()
    x = torch.rand(5, 1, 8, 8)
    before = Unrolled(network, 2)(x.expand(2, *x.shape))
    monkeypatch.setattr(strategy, "rank", lambda: Rank(1, 2, 1, 2))
    names = list(network.state_dict())
    assert with_shared_batchnorm(network, "cpu") is network
    shared = with_shared_batchnorm(network, "cuda")
    assert list(shared.state_dict()) == names
    assert torch.equal(Unrolled(shared, 2)(x.expand(2, *x.shape)), before)
    graphs = [export_nir(one, (1, 8, 8), 1e-3).graph for one in (network, shared)]
    assert graphs[0].nodes.keys() == graphs[1].nodes.keys()
    for one, other in zip(*(graph.nodes.values() for graph in graphs), strict=True):
        for key in vars(one):
            if isinstance(found := getattr(one, key), np.ndarray):
                np.testing.assert_array_equal(found, getattr(other, key))
    norms = [layer for layer in shared.modules() if isinstance(layer, torch.nn.SyncBatchNorm)]
    RunningStatistics(shared).before_step(1)
    assert [norm.momentum for norm in norms] == [0.5, 0.5]
