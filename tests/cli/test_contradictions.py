"""Arguments that contradict each other or would be ignored are refused, and nothing is written."""

from __future__ import annotations

import nir
import pytest

from mpo_snn.cli import evaluate, export, train, verify
from mpo_snn.errors import ExportError
from mpo_snn.export.nir_file import write_nir
from mpo_snn.export.readers import READERS
from mpo_snn.graph.read import read_graph
from tests.importer.test_how_to import foreign

SMALL = "digits --epochs 1 --network.channels [3] --data.train_limit 60 --quiet --device cpu"
COMMANDS = {"export": export.main, "verify": verify.main, "evaluate": evaluate.main}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run with its file `model.nir`, and a file of another program."""
    path = tmp_path_factory.mktemp("contradictions")
    run = path / "run"
    assert train.main([*SMALL.split(), "--output", str(run)]) == 0
    assert export.main([str(run), "--samples", "10"]) == 0
    nir.write(path / "foreign.nir", foreign())
    assert evaluate.main([str(run / "model.nir"), "--samples", "10"]) == 0
    return path


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("export --explain foreign.nir --reader norse", "leave out --reader."),
        ("export --explain foreign.nir --format onnx --samples 3", "out --format, --samples."),
        ("export --explain foreign.nir --dt 1e-320", "times dt"),
        ("export --explain run/model.nir --dt 1e-3", "it was written for portable with 0.0001 s"),
        ("export run --reader all --dt 0", "--dt is 0 s, allowed is above 0"),
        ("export run --reader ''", "--reader is empty"),
        ("export run --output ''", "--output is empty"),
        ("export run --output run/recipe.yaml", "a NIR file ends in .nir or .h5 or .hdf5"),
        ("export run --output x.onnx", "the name of a NIR file ends in"),
        ("export run --reader all --plain-reset", "--plain-reset is for one plain file"),
        ("export run --reader all --nir-version 1.0.4", "--nir-version is for one plain file"),
        ("export run --format onnx --unrolled 1001", "--unrolled is 1001, allowed is 1 to 1000"),
        ("verify run run/model.nir --timesteps 3", "says how it is run: leave out --timesteps."),
        ("verify run/model.nir run --dt 1e-3 --readout last", "leave out --dt, --readout."),
        ("verify run run/model.onnx --data.normalize", "leave out --data.normalize."),
        ("verify run foreign.nir --encoding rate --dt 1e-4", "leave out --dt, --encoding."),
        ("verify run run/model.nir --output run/model.nir", "a record ends in .json, .html, .htm"),
        ("evaluate run/model.nir --seeds 5", "--seeds is of --robustness"),
        ("evaluate run/model.nir --robustness dead_neurons --seeds 1001", "allowed is 1 to 1000"),
        ("evaluate run/model.nir --robustness dead_neurons,dead_neurons", "stands twice"),
        ("evaluate run/model.nir --robustness ''", "--robustness is empty"),
        ("evaluate run/model.nir --device meta", "use auto, cpu, cuda or cuda:N"),
        ("evaluate run/model.nir --device cpu:3", "use auto, cpu, cuda or cuda:N"),
        ("evaluate run/model.nir --input-scale 1e300", "the input scale is 1e+300"),
        ("evaluate --compare run/report.json run/report.json --samples 3", "leave out --samples,"),
        ("evaluate --compare run/report.json run/model.nir --robustness", "not compared"),
    ],
)
def test_refused_in_one_line(folder, monkeypatch, capsys, line, message) -> None:
    monkeypatch.chdir(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    command, *words = line.split()
    assert COMMANDS[command]([word.strip("'") for word in words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_what_a_file_leaves_open_may_still_be_said(folder, monkeypatch, capsys) -> None:
    monkeypatch.chdir(folder)
    assert verify.main(["run", "foreign.nir", "--dt", "1e-4", "--samples", "5"]) == 1
    words = "run/model.nir --samples 5 --robustness".split()
    assert evaluate.main([*words, " dead_neurons", "--seeds", "1"]) == 0
    assert export.main(["--explain", "run/model.nir", "--dt", "1e-4"]) == 0


def test_a_name_in_brackets_is_shown_as_it_is(folder, tmp_path, capsys) -> None:
    graph = read_graph(folder / "foreign.nir")
    graph.nodes["[red]x"] = graph.nodes.pop("2")
    graph.edges = [tuple("[red]x" if end == "2" else end for end in edge) for edge in graph.edges]
    path = tmp_path / "[bold].nir"
    write_nir(path, graph)
    assert export.main(["--explain", str(path)]) == 0
    told = "".join(capsys.readouterr().out.split())
    assert "[red]x" in told and "[bold].nir" in told


def test_readers_that_cannot_take_a_network_at_all_are_in_the_table(
    folder, tmp_path, monkeypatch, capsys
) -> None:
    """An export that fails for a reader with one reason and no list of findings has its row."""

    def refuse(*_: object) -> None:
        raise ExportError("no form in NIR.")

    monkeypatch.setattr("mpo_snn.cli.export_readers.export_for_reader", refuse)
    words = [str(folder / "run"), "--reader", "all", "--output", str(tmp_path / "model.nir")]
    assert export.main(words) == 0
    told = capsys.readouterr().out
    assert told.count("no form in NIR.") == len(READERS) and not list(tmp_path.iterdir())


def test_a_model_is_not_compared_in_another_timestep(folder, tmp_path, capsys) -> None:
    pytest.importorskip("onnx")
    model = str(tmp_path / "model.onnx")
    words = [str(folder / "run"), "--format", "onnx", "--samples", "5", "--output", model]
    assert export.main(words) == 0
    for first in (model, str(folder / "run" / "model.nir")):
        assert verify.main([first, model, "--dt", "1e-3", "--samples", "5"]) == 2
        assert "hold their timestep: leave out --dt" in capsys.readouterr().err
