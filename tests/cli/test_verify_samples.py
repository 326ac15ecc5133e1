"""`mpo-verify --samples`: a comparison on a part of the split, which says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mpo_snn.cli import export, train, verify


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    line = "digits --epochs 1 --network.channels [4] --data.train_limit 100 --quiet --device cpu"
    assert train.main([*line.split(), "--output", str(path)]) == 0
    assert export.main([str(path), "--samples", "10"]) == 0
    return path


@pytest.mark.parametrize("first", ("", "model.nir"))
def test_on_a_part_of_the_split(
    first: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(run / first), str(run / "model.nir"), "--samples", "20"]
    assert verify.main([*words, "--output", str(tmp_path / "record.json")]) == 0
    assert "20 samples" in capsys.readouterr().out
    assert json.loads((tmp_path / "record.json").read_text())["samples"] == 20


def test_no_samples_are_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main([str(run), str(run / "model.nir"), "--samples", "0"]) == 2
    assert "--samples is 0, allowed is 1 or more." in capsys.readouterr().err
