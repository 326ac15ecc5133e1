"""`mpo-train` in several processes: by --processes, and by torchrun itself."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from mpo_snn.cli.train import main

TRAIN = ["-m", "mpo_snn.cli.train"]
TINY = (
    "digits --epochs 2 --threads 1 --device cpu --data.train_limit 64 --data.test_limit 20"
    " --network.channels [4] --network.dropout 0"
).split()


def python(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, timeout=120
    )


@pytest.mark.slow
def test_torchrun_and_processes_train_the_same(tmp_path: Path) -> None:
    by_torchrun, by_option = tmp_path / "torchrun", tmp_path / "option"
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    runs = {
        by_torchrun: python(*torchrun, *TRAIN, *TINY, "--output", by_torchrun),
        by_option: python(*TRAIN, *TINY, "--processes", "2", "--output", by_option),
    }
    for path, done in runs.items():
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("epoch 2/2") == 1 and done.stdout.count("next: mpo-export") == 1
        assert len(list(csv.DictReader((path / "metrics.csv").read_text().splitlines()))) == 2
    assert runs[by_option].stderr == ""
    weights = [(path / "model.safetensors").read_bytes() for path in runs]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_what_the_processes_refuse_is_told_once(tmp_path: Path) -> None:
    words = [*TINY, "--processes", "2", "--optimizer.batch_size", "1", "--output", tmp_path / "run"]
    done = python(*TRAIN, *words)
    assert done.returncode == 2 and not (tmp_path / "run").exists()
    assert done.stderr.startswith("mpo-train: error: cannot train 64 samples in batches of 1 in 2")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--processes", "0"], "--processes is 0, allowed is 1 to"),
        (["--processes", "2", "--method", "fixed", "--tune"], "--tune is for one process"),
        (["--processes", "2", "--epochs", "0"], "epochs is 0"),
        (["--processes", "2", "--output", "taken"], "it holds other files"),
        (["--processes", "two"], "processes"),
    ],
)
def test_wrong_words_are_refused_before_anything_starts(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mpo_snn.cli.train.launch", lambda *_: pytest.fail("started"))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    assert main(["digits", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_torchrun_has_started_another_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("TORCHELASTIC_RUN_ID", "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
    for name, value in zip(names, ("x", "0", "0", "4", "4"), strict=True):
        monkeypatch.setenv(name, value)
    assert main(["digits", "--processes", "2"]) == 2
    assert "torchrun has started 4: leave it out" in capsys.readouterr().err
