"""`mpo-evaluate` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from types import SimpleNamespace

import nir
import numpy as np
import pytest

from mpo_snn.cli.evaluate import main
from mpo_snn.data import load_dataset
from mpo_snn.encoding import encode
from mpo_snn.graph import GraphMetadata, Simulator, write_metadata

DT, TIMESTEPS = 1e-4, 3
HEAVY = ("torch", "numpy", "matplotlib", "nir", "lightning", "jinja2", "rich")


def digits_graph(classes=10):
    rng = np.random.default_rng(1)
    one = np.ones(30)
    nodes = {
        "input": nir.Input(np.array([1, 8, 8])),
        "flatten": nir.Flatten({"input": np.array([1, 8, 8])}, start_dim=0),
        "fc": nir.Affine(rng.normal(size=(30, 64)) / 4, np.zeros(30)),
        "lif": nir.LIF(
            tau=2 * DT * one, r=one, v_leak=0 * one, v_threshold=0.3 * one, v_reset=0 * one
        ),
        "readout": nir.Affine(rng.normal(size=(classes, 30)), np.zeros(classes)),
        "output": nir.Output(np.array([classes])),
    }
    return nir.NIRGraph(nodes, list(pairwise(nodes)))


def ours(**changed):
    digits = load_dataset("digits")
    said = {
        "dt": DT,
        "timesteps": TIMESTEPS,
        "encoding": "direct",
        "readout": "mean",
        "dataset": "digits",
        "input_scaling": digits.input_scaling,
        "reset": "zero",
        "reset_timing": "step",
        "class_names": tuple(digits.class_names),
        "spiking": {"lif": "lif"},
        "folds": (),
        "notes": (),
        "writer": "mpo-snn 0.1.0",
        "nir_version": "1.0.8",
        "equivalence": None,
    }
    return GraphMetadata(**{**said, **changed})


@pytest.fixture
def model(tmp_path):
    """A file with metadata and one without, and how often the graph is right."""
    graph = digits_graph()
    digits = load_dataset("digits")
    output = Simulator(graph, DT).run(encode(digits.test_x, TIMESTEPS)).output
    right = int((output.mean(0).argmax(1) == digits.test_y).sum())
    nir.write(tmp_path / "foreign.nir", graph)
    write_metadata(graph, ours())
    nir.write(tmp_path / "model.nir", graph)
    return SimpleNamespace(
        ours=tmp_path / "model.nir", foreign=tmp_path / "foreign.nir", right=right
    )


def error_of(capsys, *argv):
    """The one line that a refused command prints."""
    assert main([str(word) for word in argv]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("mpo-evaluate: error: ")
    return err.removeprefix("mpo-evaluate: error: ").rstrip("\n")


def test_our_file(model, capsys):
    assert main([str(model.ours)]) == 0
    out = capsys.readouterr().out
    report = json.loads((model.ours.parent / "report.json").read_text())
    assert report["summary"]["correct"] == model.right
    assert report["summary"]["samples"] == 360
    assert report["setting"]["timesteps"] == TIMESTEPS
    assert report["warnings"] == []
    assert report["command"] == f"mpo-evaluate {model.ours}"
    assert f"{model.right} of 360" in out
    for name in ("report.json", "report.html"):
        assert str(model.ours.parent / name) in out
        assert (model.ours.parent / name).stat().st_size > 1000


def test_a_part_of_the_split(model, capsys):
    assert main([str(model.ours), "--samples", "50"]) == 0
    report = json.loads((model.ours.parent / "report.json").read_text())
    assert report["summary"]["samples"] == 50
    assert "of 50" in capsys.readouterr().out
    assert main([str(model.ours), "--samples", "5000"]) == 0
    told = "--samples is 5000, but there are only 360: all of them are run."
    assert told in capsys.readouterr().out
    assert error_of(capsys, model.ours, "--samples", 0) == "--samples is 0, allowed is 1 or more."


def test_the_form_of_neurobench_stands_beside_the_report(model, capsys):
    assert main([str(model.ours), "--format", "neurobench"]) == 0
    report = json.loads((model.ours.parent / "report.json").read_text())
    results = json.loads((model.ours.parent / "neurobench.json").read_text())
    assert results["ClassificationAccuracy"] == model.right / 360
    assert results["ActivationSparsity"] == pytest.approx(1 - report["total"]["density"])
    operations = results["SynapticOperations"]
    assert operations["Dense"] == TIMESTEPS * report["total"]["dense_mac_per_inference"]
    assert operations["Effective_ACs"] == report["total"]["ac_per_inference"]
    assert operations["Effective_MACs"] < TIMESTEPS * 30 * 64, "white pixels are no operations"
    assert str(model.ours.parent / "neurobench.json") in capsys.readouterr().out


def test_the_form_of_neurobench_is_of_one_graph(model, capsys):
    message = error_of(capsys, "--compare", model.ours, model.foreign, "--format", "neurobench")
    assert message == "--format neurobench is of one graph; leave out --compare."


def test_reports_of_two_files_in_a_folder_stand_side_by_side(model, tmp_path):
    other = tmp_path / "other.nir"
    other.write_bytes(model.ours.read_bytes())
    assert main([str(model.ours), "--samples", "20"]) == 0
    assert main([str(other), "--samples", "30", "--format", "neurobench"]) == 0
    for prefix, samples in (("", 20), ("other.", 30)):
        report = json.loads((tmp_path / f"{prefix}report.json").read_text())
        assert report["summary"]["samples"] == samples
        assert (tmp_path / f"{prefix}report.html").is_file()
    assert (tmp_path / "other.neurobench.json").is_file()
    assert not (tmp_path / "neurobench.json").exists()


def test_options_go_before_the_file(model, tmp_path, capsys):
    words = "--timesteps 2 --readout sum --batch_size 50 --recompute_input --data digits"
    argv = [str(model.ours), *words.split(), "--output", str(tmp_path / "there")]
    assert main(argv) == 0
    report = json.loads((tmp_path / "there" / "report.json").read_text())
    assert report["setting"]["recompute_input"] is True
    assert report["layers"][0]["mac_per_inference"] == 2 * 30 * 64
    assert report["setting"]["batch_size"] == 50
    assert "Timesteps: 2 here, 3 in the file." in report["warnings"]
    assert "Timesteps: 2 here" in capsys.readouterr().out
    assert not (model.ours.parent / "report.json").exists()


def test_foreign_file_equals_ours_once_told(model, tmp_path, capsys):
    told = "--data digits --timesteps 3 --dt 1e-4 --encoding direct --readout mean".split()
    assert main([str(model.foreign), *told]) == 0
    report = json.loads((tmp_path / "foreign.report.json").read_text())
    assert report["summary"]["correct"] == model.right
    assert "no metadata" in report["warnings"][0]
    assert report["summary"]["equivalence"] == "not recorded"


def test_foreign_file_asks_for_all_that_is_missing_at_once(model, capsys):
    message = error_of(capsys, model.foreign, "--timesteps", 3)
    assert (
        "--data NAME, --dt SECONDS, --encoding direct|rate|latency|frames|counts|rows, --readout"
        in message
    )
    assert "--timesteps" not in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--data faces", "data.name is 'faces', allowed is digits"),
        ("--profile 7nm", "unknown energy profile '7nm'"),
        ("--sample 1000000", "cannot show sample 1000000: the split has"),
        ("--robustness rust", "unknown fault 'rust': choose out of gaussian"),
        ("--robustness --seeds 0", "--seeds is 0, allowed is 1 to 1000"),
        ("--format csv", "--format"),
        ("--readout loudest", "readout is 'loudest', expected one of mean, sum, last"),
        ("--timesteps 0", "timesteps is 0, expected at least 1"),
        ("--timesteps few", "timesteps"),
        ("--dt 0", "dt is 0.0 s"),
        ("--device abacus", "unknown device 'abacus'"),
        ("--colour red", "unknown option --colour"),
    ],
)
def test_wrong_options(model, capsys, words, message):
    found = error_of(capsys, model.ours, *words.split())
    assert message in found
    assert "\n" not in found
    assert not (model.ours.parent / "report.json").exists()


def test_wrong_files(model, capsys, tmp_path):
    assert "evaluate what?" in error_of(capsys)
    assert "absent.nir" in error_of(capsys, tmp_path / "absent.nir")
    (tmp_path / "text.nir").write_text("not HDF5")
    assert "text.nir" in error_of(capsys, tmp_path / "text.nir")
    message = error_of(capsys, model.ours.parent)
    assert f"it holds {model.foreign.name}, {model.ours.name}" in message
    (tmp_path / "half.nir").write_bytes(model.ours.read_bytes()[:3000])
    assert "half.nir" in error_of(capsys, tmp_path / "half.nir")


def test_graph_with_another_number_of_classes(capsys, tmp_path):
    graph = digits_graph(classes=7)
    write_metadata(graph, ours())
    nir.write(tmp_path / "seven.nir", graph)
    message = error_of(capsys, tmp_path / "seven.nir")
    assert "it has 10 classes, the graph has 7 outputs" in message


def test_output_that_cannot_be_written(model, capsys, tmp_path):
    (tmp_path / "occupied").write_text("mine")
    assert "occupied" in error_of(capsys, model.ours, "--output", tmp_path / "occupied")
    assert (tmp_path / "occupied").read_text() == "mine"
    (tmp_path / "full" / "report.html").mkdir(parents=True)
    assert "report.html" in error_of(capsys, model.ours, "--output", tmp_path / "full")
    assert not (tmp_path / "full" / "report.json").exists()


def test_an_output_is_refused_before_anything_is_run(model, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("mpo_snn.cli.graph_report.report_of", None)
    (tmp_path / "occupied").write_text("mine")
    for folder in (tmp_path / "occupied", tmp_path / "occupied" / "below"):
        message = error_of(capsys, model.ours, "--output", folder)
        assert f"'{tmp_path / 'occupied'}' is a file" in message


def test_all_wrong_options_are_told_at_once(model, capsys):
    words = "--profile 7nm --timesteps 0 --batch-size 0 --samples 0 --sample -1"
    found = error_of(capsys, model.ours, *words.split())
    for message in (
        f"cannot evaluate '{model.ours}': 5 findings",
        "unknown energy profile '7nm'",
        "cannot run the graph: timesteps is 0",
        "batch_size is 0",
        "--samples is 0",
        "--sample is -1",
    ):
        assert message in found


def test_a_network_that_leaves_the_range_of_numbers_is_refused(model, capsys, tmp_path):
    """NaN crosses no threshold: such a network would count as a quiet and cheap one."""
    graph = nir.read(model.ours)
    graph.nodes["fc"] = nir.Affine(1e300 * graph.nodes["fc"].weight, graph.nodes["fc"].bias)
    nir.write(tmp_path / "huge.nir", graph)
    message = error_of(capsys, tmp_path / "huge.nir")
    assert "cannot run the graph in float32: values of 'lif'" in message
    assert not (tmp_path / "report.json").exists()


@pytest.mark.parametrize("word", ["--help", "--list"])
def test_help_and_list_import_nothing_heavy(word):
    code = (
        "import sys; from mpo_snn.cli.evaluate import main; code = main(sys.argv[1:]);"
        f"print('HEAVY', [name for name in {HEAVY} if name in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, word], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "HEAVY []" in done.stdout
    if word == "--help":
        assert "mpo-evaluate runs/digits/model.nir --data digits" in done.stdout
    else:
        assert "digits" in done.stdout
        assert "45nm-float32" in done.stdout


def test_a_foreign_file_with_its_timestep_and_its_own_scaling(model, tmp_path, capsys):
    """A flat input of values up to 16 in place of an image of values up to 1: the same answers."""
    graph = nir.read(model.foreign)
    nodes = {**graph.nodes, "input": nir.Input(np.array([64]))}
    del nodes["flatten"]
    nodes["fc"] = nir.Affine(nodes["fc"].weight / 16, nodes["fc"].bias)
    names = ["input", "fc", "lif", "readout", "output"]
    stated = {"dt": DT, "timesteps": TIMESTEPS}
    nir.write(tmp_path / "flat.nir", nir.NIRGraph(nodes, list(pairwise(names)), metadata=stated))
    told = "--data digits --encoding direct --readout mean --input-scale 16".split()
    assert main([str(tmp_path / "flat.nir"), *told]) == 0
    report = json.loads((tmp_path / "flat.report.json").read_text())
    assert report["summary"]["correct"] == model.right
    assert (report["setting"]["dt_s"], report["setting"]["timesteps"]) == (DT, TIMESTEPS)
    assert report["warnings"][0].endswith("to values in [0, 1]), (1, 8, 8) as (64,).")
    capsys.readouterr()
    refused = error_of(capsys, tmp_path / "flat.nir", *told, "--input-scale", 0)
    assert refused.startswith("the input scale is 0, allowed is a finite number other than 0")
