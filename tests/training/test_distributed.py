"""Several processes over gloo train one network as a single process does with the whole batch."""

from __future__ import annotations

import csv
import multiprocessing
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.settings import MPOSettings
from mpo_snn.training.fit import fit
from mpo_snn.training.recipe import DataSettings, OptimizerSettings, Recipe
from mpo_snn.training.weights import read_weights

# A server that has loaded torch and Lightning once starts a fresh process in milliseconds.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["mpo_snn.training.fit", "mpo_snn.data.digits"])


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


def run_in_rank(work: Callable[..., None], number: int, count: int, port: int, rest: Any) -> None:
    os.environ |= {
        "TORCHELASTIC_RUN_ID": "test",
        "RANK": str(number),
        "LOCAL_RANK": str(number),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    torch.set_num_threads(1)
    work(*rest)


def start(count: int, work: Callable[..., None], *rest: Any) -> list[Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [
        processes.Process(target=run_in_rank, args=(work, number, count, port, rest))
        for number in range(count)
    ]
    for process in started:
        process.start()
    return started


def exit_codes(started: list[Any]) -> list[int]:
    for process in started:
        process.join(100)
    codes = [process.exitcode for process in started]
    for process in started:
        process.kill()
    return codes


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
