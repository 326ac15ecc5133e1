from __future__ import annotations

import json
import logging
import math
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from torch.nn import functional

from mpo_snn.data import load_dataset
from mpo_snn.encoding import encode
from mpo_snn.errors import OutputError, RecipeError, RunError
from mpo_snn.kernels import default_backend
from mpo_snn.networks import build_network
from mpo_snn.readout import read_out
from mpo_snn.training import checkpoint as checkpoint_module
from mpo_snn.training.fit import fit, resume
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.rundir import Run, open_run

from .conftest import rows


def test_run_directory_is_complete(finished: Run) -> None:
    names = {
        str(path.relative_to(finished.path)) for path in finished.path.rglob("*") if path.is_file()
    }
    assert names == {
        "checkpoints/last.ckpt",
        "environment.json",
        "membrane.csv",
        "metrics.csv",
        "model.safetensors",
        "recipe.yaml",
    }


def test_network_of_a_run_gives_the_recorded_accuracy(finished: Run) -> None:
    digits, unrolled = load_dataset("digits"), finished.load_network()
    assert not unrolled.training
    with torch.no_grad():
        scores = read_out(unrolled(encode(digits.test_x, 2)))
    accuracy = (scores.argmax(1) == digits.test_y).double().mean().item()
    loss = functional.cross_entropy(scores, digits.test_y).item()
    last = rows(finished.path / "metrics.csv")[-1]
    assert finished.test_accuracy == pytest.approx(accuracy, abs=1e-6)
    assert float(last["test_loss"]) == pytest.approx(loss, rel=1e-4)
    assert accuracy > 0.15


def test_metrics_fit_together(finished: Run, tiny: Recipe) -> None:
    table = rows(finished.path / "metrics.csv")
    assert [row["epoch"] for row in table] == ["1", "2", "3", "4"]
    for row in table:
        joint = (
            float(row["task_loss"])
            + tiny.mpo.lambda_dist * float(row["dist_loss"])
            + tiny.mpo.lambda_width * float(row["width_loss"])
        )
        assert float(row["train_loss"]) == pytest.approx(joint, abs=1e-5)
    assert float(table[-1]["task_loss"]) < float(table[0]["task_loss"]) < 1.2 * math.log(10)


def test_membrane_table_names_every_layer_and_epoch(finished: Run) -> None:
    table = rows(finished.path / "membrane.csv")
    layers = ["features.2", "features.5"]
    assert [(r["epoch"], r["layer"]) for r in table] == [
        (str(epoch), layer) for epoch in range(1, 5) for layer in layers
    ]
    assert all(0 < float(row["density"]) < 1 for row in table)
    neurons = finished.load_network().neurons
    # The width of the table is the mean over the epoch, on its way to where it ends.
    for row in table[-2:]:
        assert neurons[row["layer"]].width.item() == pytest.approx(float(row["width"]), rel=0.2)


def test_environment_says_with_what(finished: Run) -> None:
    environment = json.loads((finished.path / "environment.json").read_text())
    assert environment["versions"]["torch"] == torch.__version__
    assert environment["device"] == "cpu"
    assert environment["threads"] == torch.get_num_threads()
    assert environment["kernel"] == default_backend("cpu")
    assert environment["seconds"] > 0
    assert len(environment["starts"]) == 1


def test_same_recipe_gives_the_same_bytes_whatever_ran_before(
    finished: Run, tiny: Recipe, tmp_path: Path
) -> None:
    torch.rand(5)
    again = fit(tiny, tmp_path / "again", device="cpu")
    for name in ("model.safetensors", "metrics.csv", "membrane.csv", "recipe.yaml"):
        assert (again.path / name).read_bytes() == (finished.path / name).read_bytes()


def test_every_epoch_has_an_order_of_its_own(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, list[int]] = {}
    original = TrainingModule.training_step

    def training_step(self: TrainingModule, *arguments: Any) -> Any:
        seen.setdefault(self.current_epoch, []).extend(arguments[0][1].tolist())
        return original(self, *arguments)

    monkeypatch.setattr(TrainingModule, "training_step", training_step)
    fit(tiny, tmp_path / "run", device="cpu")
    assert sorted(seen) == [0, 1, 2, 3]
    assert len({tuple(labels) for labels in seen.values()}) == 4
    assert len({tuple(sorted(labels)) for labels in seen.values()}) == 1


def test_seed_decides_the_weights(finished: Run, tiny: Recipe, tmp_path: Path) -> None:
    other = fit(replace(tiny, seed=1, epochs=1), tmp_path / "other", device="cpu")
    weights = [
        run.load_network().state_dict()["network.readout.weight"] for run in (finished, other)
    ]
    assert not torch.equal(*weights)


def test_fixed_leaves_the_surrogates_alone(tiny: Recipe, tmp_path: Path) -> None:
    run = fit(replace(tiny, method="fixed", epochs=1), tmp_path / "fixed", device="cpu")
    for neuron in run.load_network().neurons.values():
        assert neuron.width.item() == tiny.neuron.width
        assert neuron.height.item() == 1.0
    row = rows(run.path / "metrics.csv")[0]
    assert row["train_loss"] == row["task_loss"]
    assert float(row["dist_loss"]) > 0


@pytest.fixture
def module(tiny: Recipe) -> TrainingModule:
    network = build_network(tiny.network, tiny.neuron, (1, 8, 8), 10)
    return TrainingModule(tiny, network, 10, steps_per_epoch=3)


def test_rate_coding_is_drawn_afresh_in_training_alone(
    tiny: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build_network(tiny.network, tiny.neuron, (1, 8, 8), 10)
    module = TrainingModule(replace(tiny, encoding="rate"), network, 10, steps_per_epoch=3)
    drawn = []

    def watched(*arguments: Any, **options: Any) -> torch.Tensor:
        drawn.append(encode(*arguments, **options))
        return drawn[-1]

    monkeypatch.setattr("mpo_snn.training.module.encode", watched)
    monkeypatch.setattr(module, "log", lambda *arguments, **options: None)
    batch = torch.rand(5, 1, 8, 8), torch.zeros(5, dtype=torch.long)
    for _ in range(2):
        module.training_step(batch, 0)
    assert not torch.equal(drawn[0], drawn[1])
    module.eval()
    for _ in range(2):
        module(batch[0])
    assert torch.equal(drawn[2], drawn[3])


def stop_at(step: int, how: Any) -> Any:
    original = TrainingModule.training_step

    def training_step(self: TrainingModule, *arguments: Any) -> Any:
        if self.global_step == step:
            how()
        return original(self, *arguments)

    return training_step


@pytest.fixture
def interrupt_handler() -> Iterator[Any]:
    handler = signal.getsignal(signal.SIGINT)
    yield handler
    signal.signal(signal.SIGINT, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_can_be_resumed(
    number: signal.Signals,
    finished: Run,
    tiny: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interrupt_handler: Any,
) -> None:
    with monkeypatch.context() as patch:
        how = stop_at(4, lambda: os.kill(os.getpid(), number))
        patch.setattr(TrainingModule, "training_step", how)
        with pytest.raises(KeyboardInterrupt):
            fit(tiny, tmp_path / "run", device="cpu")
    assert signal.getsignal(signal.SIGINT) is interrupt_handler
    run = resume(open_run(tmp_path / "run", unfinished=True), device="cpu")
    weights = "model.safetensors"
    assert (run.path / weights).read_bytes() == (finished.path / weights).read_bytes()


def test_full_disk_keeps_the_last_checkpoint(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = []

    def save(checkpoint: dict[str, Any], file: BinaryIO) -> None:
        if len(saved) == 1:
            raise OSError(28, "No space left on device")
        saved.append(checkpoint["epoch"])
        torch_save(checkpoint, file)

    torch_save = torch.save
    monkeypatch.setattr(checkpoint_module.torch, "save", save)
    with pytest.raises(OutputError, match=r"last\.ckpt': No space left"):
        fit(tiny, tmp_path / "run", device="cpu")
    monkeypatch.undo()
    checkpoint = checkpoint_module.read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert checkpoint["epoch"] == 0
    assert not list(tmp_path.rglob("*.part"))


def test_nothing_is_written_for_a_network_that_does_not_fit(tiny: Recipe, tmp_path: Path) -> None:
    deep = replace(tiny, network=replace(tiny.network, channels=(2,) * 6))
    with pytest.raises(RecipeError, match=r"use fewer network\.channels"):
        fit(deep, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_taken_output_is_refused_before_anything_is_loaded(
    finished: Run, tiny: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpo_snn.training.fit.load_dataset", lambda *_: pytest.fail("loaded"))
    with pytest.raises(RunError, match="finished run"):
        fit(tiny, finished.path, device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_device_that_is_not_there(tiny: Recipe, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no CUDA device"):
        fit(tiny, tmp_path / "run", device="cuda")
    assert not (tmp_path / "run").exists()


def test_lightning_is_as_talkative_afterwards_as_before(finished: Run) -> None:
    assert logging.getLogger("lightning.pytorch").level != logging.WARNING
