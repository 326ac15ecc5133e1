"""`mpo-export --format onnx` and `mpo-verify` of its files: from a run to onnxruntime and back."""

import json
import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from mpo_snn.cli import export, train, verify
from mpo_snn.data import load_dataset
from mpo_snn.encoding import encode
from mpo_snn.training.rundir import open_run

TRAIN = ["digits", "--epochs", "1", "--network.channels", "[4,6]", "--quiet"]
RUNS = {
    "plain": [],
    "counted": ["--neuron.reset", "subtract", "--readout", "spike_count", "--encoding", "rate"],
}


def trained(name, folder):
    path = folder / name
    assert train.main([*TRAIN, *RUNS[name], "--output", str(path)]) == 0
    assert export.main([str(path), "--format", "onnx"]) == 0
    assert export.main([str(path), "--format", "onnx", "--unrolled", "4"]) == 0
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return trained("plain", tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    return trained("counted", tmp_path_factory.mktemp("runs"))


@pytest.fixture(params=RUNS)
def run(request):
    return request.getfixturevalue(request.param)


def test_predictions_are_those_of_the_network(run):
    """All 360 samples, in onnxruntime as it comes, the file as it is."""
    opened = open_run(run)
    samples = load_dataset(opened.recipe.data, 4, train=False).test_x
    x = encode(samples[:], 4, opened.recipe.encoding)
    with torch.no_grad():
        expected = opened.load_network()(x)
    one = onnxruntime.InferenceSession(run / "model.onnx")
    states = {v.name: np.zeros((360, *v.shape[1:]), np.float32) for v in one.get_inputs()[1:]}
    layers = list(opened.load_network().neurons)
    assert list(states) == [f"{layer}.membrane" for layer in layers] and len(layers) > 1
    logits = []
    for step in x:
        values = one.run(None, {"input": step.numpy(), **states})
        logits.append(values[0])
        states = dict(zip(states, values[1:], strict=True))
    assert_close_but_for_few(np.stack(logits).swapaxes(0, 1), expected.movedim(0, 1).numpy())
    whole = onnxruntime.InferenceSession(run / "model.unrolled.onnx")
    fed = x[0] if run.name == "plain" else x
    (scores,) = whole.run(["scores"], {"input": fed.numpy()})
    by_hand = expected.sum(0) if run.name == "counted" else expected.mean(0)
    assert_close_but_for_few(scores, by_hand.numpy())


def assert_close_but_for_few(found, expected):
    """Sample by sample, but for those in which rounding tipped a spike, as the proof may find."""
    apart = np.abs(found - expected).reshape(len(expected), -1).max(1) > 1e-5
    assert apart.mean() < 0.02, f"{apart.sum()} of {len(apart)} samples"


@pytest.mark.parametrize("name", ["model", "model.unrolled"])
def test_the_proof_covers_the_whole_test_split(run, name, capsys):
    record = json.loads((run / f"{name}.onnx.equivalence.json").read_text())
    assert record["equal"] and record["samples"] == 360
    assert record["float64"]["samples"] == 8 and record["float32"]["samples"] == 360
    for layer in record["float64"]["layers"]:
        assert layer["identical"] == 1.0 and layer["spikes_in_either"] > 0
    for layer in record["float32"]["layers"]:
        assert layer["identical"] > 0.9999 and layer["unexplained"] == 0
    entries = {e.key: e.value for e in onnx.load(run / f"{name}.onnx").metadata_props}
    assert json.loads(entries["class_names"]) == list("0123456789")
    assert entries["readout"] == ("mean" if run.name == "plain" else "spike_count")
    assert json.loads(entries["equivalence"])["equal"] is True
    assert verify.main([str(run), str(run / f"{name}.onnx"), "--samples", "30"]) == 0
    out = capsys.readouterr().out
    assert "equal: every spike is the same" in out and "first 8" in out


def test_a_model_is_compared_with_a_graph_and_with_a_model(plain, tmp_path, capsys):
    one, whole, graph = (plain / n for n in ("model.onnx", "model.unrolled.onnx", "model.nir"))
    assert export.main([str(plain), "--samples", "20"]) == 0
    double = tmp_path / "double.onnx"
    options = ["--format", "onnx", "--precision", "float64", "--samples", "20"]
    assert export.main([str(plain), *options, "--output", str(double)]) == 0
    for pair in ((graph, one), (one, graph), (one, whole), (plain, double), (graph, double)):
        assert verify.main([*map(str, pair), "--samples", "20"]) == 0, pair
    capsys.readouterr()
    assert verify.main([str(one), str(double), "--samples", "20"]) == 2
    assert "one is in float32, the other in float64" in capsys.readouterr().err


def test_more_timesteps_than_were_trained(plain, tmp_path, capsys):
    path = tmp_path / "six.onnx"
    options = ["--format", "onnx", "--unrolled", "6", "--samples", "20", "--output", str(path)]
    assert export.main([str(plain), *options]) == 0
    assert verify.main([str(plain), str(path), "--samples", "20"]) == 0
    assert "run over 6 timesteps, trained with 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("features.3.weight", 1.3, "first divergence in layer 'features.5' at timestep"),
        ("features.5.threshold", 0.8, "first divergence in layer 'features.5' at timestep"),
        ("readout.bias", 1.001, "'readout.bias' differs in 10 of 10 values"),
    ],
)
def test_a_damaged_copy_is_reported(plain, tmp_path, name, change, message, capsys):
    model = onnx.load(plain / "model.onnx")
    tensor = next(t for t in model.graph.initializer if t.name == name)
    values = (numpy_helper.to_array(tensor) * change).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(values, name))
    path, record = tmp_path / "damaged.onnx", tmp_path / "record.json"
    onnx.save(model, path)
    capsys.readouterr()
    assert verify.main([str(plain), str(path), "--samples", "40", "--output", str(record)]) == 1
    out = capsys.readouterr().out
    assert message in out and "NOT equal" in out
    assert json.loads(record.read_text())["equal"] is False


def test_other_settings_are_reported(plain, tmp_path, capsys):
    model = onnx.load(plain / "model.onnx")
    for entry in model.metadata_props:
        if entry.key == "encoding":
            entry.value = "rate"
    onnx.save(model, tmp_path / "rate.onnx")
    assert verify.main([str(plain), str(tmp_path / "rate.onnx"), "--samples", "20"]) == 1
    assert "metadata: encoding is rate, the run has direct" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--unrolled", "0"], "--unrolled is 0, allowed is 1 or more"),
        (["--unrolled", "-3"], "--unrolled is -3, allowed is 1 or more"),
        (["--unrolled", "four"], "unrolled is 'four', allowed is a whole number"),
        (["--precision", "float16"], "unknown precision 'float16': choose one of float32, float64"),
        (["--output", "{tmp}/model.bin"], "the name of an ONNX file ends in .onnx"),
        (["--output", "{tmp}/none/model.onnx"], "cannot write"),
        (["--plain-reset"], "--plain-reset is for --format nir"),
        (["--nir-version", "1.0.4"], "--nir-version is for --format nir"),
        (["--samples", "0"], "--samples is 0"),
        (["--dt", "0"], "dt is 0 s, allowed is above 0"),
    ],
)
def test_bad_input_of_export_is_one_line(plain, tmp_path, arguments, message, capsys):
    before = sorted(path.name for path in plain.iterdir())
    words = [word.format(tmp=tmp_path) for word in arguments]
    assert export.main([str(plain), "--format", "onnx", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and error.startswith("mpo-export: error: ")
    assert sorted(p.name for p in plain.iterdir()) == before and not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", [["--unrolled", "4"], ["--precision", "float64"]])
def test_options_of_onnx_are_refused_for_nir(plain, option, capsys):
    assert export.main([str(plain), *option]) == 2
    assert f"{option[0]} is for --format onnx" in capsys.readouterr().err


def test_bad_input_of_verify_is_one_line(plain, tmp_path, capsys):
    words, lost = tmp_path / "words.onnx", tmp_path / "lost.onnx"
    words.write_text("some words")
    shape = onnx.load(plain / "model.onnx")
    for value in (*shape.graph.input[:1],):
        value.type.tensor_type.shape.dim[2].dim_value = 9
    onnx.save(shape, tmp_path / "shape.onnx")
    graph_as_model = tmp_path / "graph.onnx"
    assert export.main([str(plain), "--samples", "5", "--output", str(tmp_path / "g.nir")]) == 0
    graph_as_model.write_bytes((tmp_path / "g.nir").read_bytes())
    capsys.readouterr()
    for path, message in (
        (words, "no ONNX model"),
        (lost, "No such file"),
        (tmp_path / "shape.onnx", "refuses it|it takes any number of timesteps"),
        (graph_as_model, "no ONNX model"),
    ):
        record = tmp_path / "record.json"
        assert verify.main([str(plain), str(path), "--output", str(record)]) == 2
        error = capsys.readouterr().err
        assert re.search(message, error) and error.startswith("mpo-verify: error: ")
        assert error.count("\n") == 1 and not record.exists()


def test_without_the_packages_it_says_what_to_install(plain, monkeypatch, capsys):
    find = "mpo_snn.export.to_onnx.packages.importlib.util.find_spec"
    monkeypatch.setattr(find, lambda name: None)
    for command, words in (
        (export, [str(plain), "--format", "onnx"]),
        (verify, [str(plain), str(plain / "model.onnx")]),
    ):
        assert command.main(words) == 2
        error = capsys.readouterr().err
        assert "pip install 'mpo-snn[onnx]'" in error and error.count("\n") == 1


def test_data_of_another_shape_are_refused(plain, tmp_path, capsys):
    """For a graph and for a model alike."""
    np.savez(
        tmp_path / "data.npz",
        **{f"x_{part}": np.zeros((4, 8, 8, 3), np.uint8) for part in ("train", "test")},
        **{f"y_{part}": np.arange(4) for part in ("train", "test")},
    )
    assert export.main([str(plain), "--samples", "5"]) == 0
    capsys.readouterr()
    for name in ("model.nir", "model.onnx"):
        words = [str(plain), str(plain / name), "--data", "archive", "--data.path"]
        assert verify.main([*words, str(tmp_path / "data.npz")]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "(3, 8, 8), the run takes (1, 8, 8)" in error, error
