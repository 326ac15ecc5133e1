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


def test_more_samples_than_there_are(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main([str(run / "model.nir"), str(run / "model.nir"), "--samples", "5000"]) == 0
    told = "--samples is 5000, but there are only 360: all of them are run."
    assert told in capsys.readouterr().out


def test_more_samples_than_there_are_for_all_readers(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "--samples is 5000, but there are only 360: all of them are run."
    for source in (run, run / "model.nir"):
        capsys.readouterr()
        assert export.main([str(source), "--reader", "all", "--samples", "5000"]) == 0
        assert capsys.readouterr().out.count(told) == 1


def test_no_samples_are_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main([str(run), str(run / "model.nir"), "--samples", "0"]) == 2
    assert "--samples is 0, allowed is 1 or more." in capsys.readouterr().err


def test_a_record_that_cannot_be_written_is_refused_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "absent" / "x.json"
    assert verify.main(["neither.nir", "there.nir", "--output", str(output)]) == 2
    message = f"cannot write '{output}': No such file or directory. Nothing was changed."
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ("", "x.nir"),
        ("--reader all", "x.nir"),
        ("--reader norse", "x.nir"),
        ("--format onnx", "x.onnx"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_proof(
    options: str,
    name: str,
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def export_run(*_: object) -> None:
        pytest.fail("it was exported before")

    # In this order: the second module keeps the function that it finds in the first.
    monkeypatch.setattr("mpo_snn.export.to_onnx.onnx_proof.export_onnx", export_run)
    monkeypatch.setattr("mpo_snn.export.proof.export_run", export_run)
    words = [str(run), *options.split(), "--output", str(tmp_path / "absent" / name)]
    assert export.main(words) == 2
    assert "No such file or directory. Nothing was changed." in capsys.readouterr().err


def test_a_converted_file_that_cannot_be_written_is_refused_before_the_proof(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert_graph(*_: object) -> None:
        pytest.fail("it was converted before")

    monkeypatch.setattr("mpo_snn.export.converted.convert_graph", convert_graph)
    words = [str(run / "model.nir"), "--reader", "norse", "--output"]
    assert export.main([*words, str(tmp_path / "absent" / "x.nir")]) == 2
    assert "No such file or directory. Nothing was changed." in capsys.readouterr().err
