"""A run that is killed at any moment and resumed ends with the bytes of one that was not."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mpo_snn.errors import RunError
from mpo_snn.training import fit as fit_module
from mpo_snn.training.checkpoint import AtomicCheckpoints, read_checkpoint
from mpo_snn.training.fit import fit, resume
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.rundir import CHECKPOINT, Run, open_run

from .conftest import tiny_recipe

RESULTS = ("model.safetensors", "metrics.csv", "membrane.csv", "recipe.yaml")
# A server that has loaded torch and Lightning once starts a fresh process in milliseconds.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["mpo_snn.training.fit", "mpo_snn.data.digits"])


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

    def save(checkpoint: object, path: Path) -> None:
        original(checkpoint, path)
        calls.append(None)
        if len(calls) == number:
            path.write_bytes(path.read_bytes()[:5000])
            die()

    torch.save = save


def die_before_weights(_: int) -> None:
    fit_module.write_weights = lambda *_: die()  # type: ignore[assignment]


def train(output: Path, kill: Callable[[int], None] | None, number: int) -> None:
    if kill is not None:
        kill(number)
    fit(tiny_recipe(), output, device="cpu")


def go_on(output: Path, kill: Callable[[int], None] | None, number: int) -> None:
    if kill is not None:
        kill(number)
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
    ("kill", "number"),
    [
        (die_at_step, 0),
        (die_at_step, 5),
        (die_at_step, 6),
        (die_at_step, 14),
        (die_before_checkpoint, 1),
        (die_before_checkpoint, 3),
        (die_in_the_middle_of_checkpoint, 2),
        (die_before_weights, 0),
    ],
)
def test_resumed_run_has_the_bytes_of_an_uninterrupted_one(
    kill: Callable[[int], None], number: int, whole: dict[str, bytes], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert exit_code(start(train, run, kill, number)) == -signal.SIGKILL
    assert not (run / "model.safetensors").exists()
    assert exit_code(start(go_on, run)) == 0
    assert results(run) == whole
    assert not list(run.rglob("*.part"))
