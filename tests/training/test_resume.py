"""A run that is killed at any moment and resumed ends with the bytes of one that was not."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch

from mpo_snn.errors import RunError
from mpo_snn.training import fit as fit_module
from mpo_snn.training.checkpoint import AtomicCheckpoints, read_checkpoint
from mpo_snn.training.fit import fit, resume
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.rundir import CHECKPOINT, Run, open_run, read_environment

from .conftest import tiny_recipe

RESULTS = ("model.safetensors", "metrics.csv", "membrane.csv", "recipe.yaml")
# A server that has loaded torch and Lightning once starts a fresh process in milliseconds.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.warm"])


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_step(number: int) -> None:
    original = TrainingModule.training_step

    def training_step(self: TrainingModule, *arguments: Any) -> Any:
        if self.global_step == number:
            die()
        return original(self, *arguments)

    TrainingModule.training_step = training_step  # type: ignore[method-assign]


def die_before_checkpoint(number: int) -> None:
    original = AtomicCheckpoints.save_checkpoint
    calls: list[None] = []

    def save_checkpoint(self: AtomicCheckpoints, *arguments: Any, **options: Any) -> None:
        calls.append(None)
        if len(calls) == number:
            die()
        original(self, *arguments, **options)

    AtomicCheckpoints.save_checkpoint = save_checkpoint  # type: ignore[method-assign]


def die_in_the_middle_of_checkpoint(number: int) -> None:
    original = torch.save
    calls: list[None] = []

    def save(checkpoint: object, file: BinaryIO) -> None:
        original(checkpoint, file)
        calls.append(None)
        if len(calls) == number:
            file.truncate(5000)
            die()

    torch.save = save


def die_before_weights(_: int) -> None:
    fit_module.write_weights = lambda *_: die()  # type: ignore[assignment]


def train(output: Path, kill: Callable[[int], None] | None, number: int) -> None:
    if kill is not None:
        kill(number)
    torch.set_num_threads(1)
    fit(tiny_recipe(), output, device="cpu")


def go_on(output: Path, kill: Callable[[int], None] | None, number: int) -> None:
    if kill is not None:
        kill(number)
    torch.set_num_threads(1)
    resume(open_run(output, unfinished=True), device="cpu")


def start(
    work: Callable[..., None],
    output: Path,
    kill: Callable[[int], None] | None = None,
    number: int = 0,
) -> Any:
    process = processes.Process(target=work, args=(output, kill, number))
    process.start()
    return process


def exit_code(process: Any) -> int:
    process.join(60)
    assert process.exitcode is not None, "the process did not end in a minute"
    return int(process.exitcode)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("whole") / "run"
    assert exit_code(start(train, output)) == 0
    return results(output)


def results(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in RESULTS}


@pytest.mark.parametrize(
    ("kill", "number", "epochs_kept"),
    [
        (die_at_step, 0, 0),
        (die_at_step, 2, 0),
        (die_at_step, 3, 1),
        (die_at_step, 7, 2),
        (die_before_checkpoint, 3, 2),
        (die_in_the_middle_of_checkpoint, 1, 0),
        (die_in_the_middle_of_checkpoint, 3, 2),
        (die_before_weights, 0, 4),
    ],
)
def test_resumed_run_has_the_bytes_of_an_uninterrupted_one(
    kill: Callable[[int], None],
    number: int,
    epochs_kept: int,
    whole: dict[str, bytes],
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    assert exit_code(start(train, run, kill, number)) == -signal.SIGKILL
    assert not open_run(run, unfinished=True).finished
    assert exit_code(start(go_on, run)) == 0
    assert results(run) == whole
    assert [begin["epochs_done"] for begin in read_environment(run)["starts"]] == [0, epochs_kept]
    assert not list(run.rglob("*.part"))


def test_killed_twice_and_moved_in_between(whole: dict[str, bytes], tmp_path: Path) -> None:
    run, moved = tmp_path / "run", tmp_path / "elsewhere" / "run"
    assert exit_code(start(train, run, die_at_step, 4)) == -signal.SIGKILL
    moved.parent.mkdir()
    run.rename(moved)
    assert exit_code(start(go_on, moved, die_at_step, 10)) == -signal.SIGKILL
    assert exit_code(start(go_on, moved)) == 0
    assert results(moved) == whole
    assert not run.exists()


def test_kill_from_outside_while_it_runs(whole: dict[str, bytes], tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(train, run)
    deadline = time.monotonic() + 60
    while not (run / CHECKPOINT).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert exit_code(process) == -signal.SIGKILL
    assert exit_code(start(go_on, run)) == 0
    assert results(run) == whole


def test_finished_run_is_left_alone(finished: Run) -> None:
    files = sorted(path for path in finished.path.rglob("*") if path.is_file())
    before = [(path, path.stat().st_mtime_ns) for path in files]
    assert resume(finished) == finished
    assert [(path, path.stat().st_mtime_ns) for path in files] == before


@pytest.fixture
def unfinished(finished: Run, tmp_path: Path) -> Run:
    copy = tmp_path / "run"
    shutil.copytree(finished.path, copy)
    (copy / "model.safetensors").unlink()
    return open_run(copy, unfinished=True)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[:-100], id="truncated"),
        pytest.param(lambda content: content[:9000] + b"\x55" + content[9001:], id="one byte"),
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: b"not an archive", id="other content"),
    ],
)
def test_damaged_checkpoint_is_refused(unfinished: Run, damage: Callable[[bytes], bytes]) -> None:
    path = unfinished.path / CHECKPOINT
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RunError, match=r"last\.ckpt': it is damaged.*Delete it"):
        resume(unfinished)
    assert not unfinished.finished


def test_checkpoint_of_an_edited_recipe_is_refused(unfinished: Run) -> None:
    edited = Run(unfinished.path, replace(unfinished.recipe, epochs=6))
    with pytest.raises(RunError, match="written by another recipe"):
        resume(edited)
    assert not edited.finished


def test_checkpoint_holds_plain_values_and_mpo(finished: Run, tiny: Recipe) -> None:
    checkpoint = torch.load(finished.path / CHECKPOINT, weights_only=True)
    assert checkpoint["recipe"] == tiny.values()
    layers = {"features.2", "features.5"}
    assert set(checkpoint["mpo"]) == layers
    assert all(checkpoint["mpo"][layer]["gain"].shape[0] == 4 for layer in layers)


def test_checkpoint_with_code_in_it_is_not_run(unfinished: Run) -> None:
    path = unfinished.path / CHECKPOINT
    torch.save({"epoch": Path("x")}, path)
    with pytest.raises(RunError, match="damaged"):
        read_checkpoint(path)
