"""torchrun on two machines, here both on one: the bytes of two processes on a single machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.training.fit import fit
from mpo_snn.training.recipe import DataSettings, Recipe
from mpo_snn.training.recipe_file import recipe_text
from mpo_snn.training.rundir import read_environment
from tests.several import exit_codes, start


def train(made: Recipe, output: Path) -> None:
    fit(made, output, device="cpu")


def on_a_machine(recipe: Path, output: Path, port: int) -> subprocess.Popen[str]:
    """The command of docs/distributed.md, with one process a machine."""
    torchrun = (
        "--nnodes 2 --nproc-per-node 1 --rdzv-backend c10d"
        f" --rdzv-endpoint localhost:{port} -m mpo_snn.cli.train --device cpu"
    )
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", *torchrun.split()),
            *("--output", str(output), str(recipe)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_two_machines_train_the_bytes_of_one_with_two_processes(tmp_path: Path) -> None:
    made = Recipe(
        name="shared",
        epochs=2,
        timesteps=3,
        data=DataSettings("digits", train_limit=64, test_limit=20),
        network=NetworkSettings("mlp", hidden=(16,), normalise=False),
    )
    (tmp_path / "shared.yaml").write_text(recipe_text(made))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    machines = [on_a_machine(tmp_path / "shared.yaml", tmp_path / "two", port) for _ in range(2)]
    try:
        told = [machine.communicate(timeout=100) for machine in machines]
    finally:
        for machine in machines:
            machine.kill()
    assert [machine.returncode for machine in machines] == [0, 0], told
    assert sorted(out.count("epoch 2/2") for out, _ in told) == [0, 1]
    assert exit_codes(start(2, train, made, tmp_path / "one")) == [0, 0]
    for name in ("model.safetensors", "membrane.csv"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert read_environment(tmp_path / "two")["processes"] == 2
