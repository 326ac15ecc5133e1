"""`mpo-export` and `mpo-verify` on a real run: exit codes, what is written, what is refused."""

import json
import os
import resource
import subprocess
import sys

import h5py
import nir
import numpy as np
import pytest

from mpo_snn.cli import evaluate, export, train, verify
from mpo_snn.graph.metadata import read_metadata
from mpo_snn.graph.read import read_graph

TRAIN = ["digits", "--epochs", "2", "--network.channels", "[6,8]"]


@pytest.fixture(scope="module", params=["zero", "subtract"])
def run(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / request.param
    assert train.main([*TRAIN, "--output", str(path), "--neuron.reset", request.param]) == 0
    assert export.main([str(path), "--format", "nir"]) == 0
    return path


@pytest.fixture
def damaged(run, tmp_path):
    """Writes a changed copy of the file: damaged(node, field, index, change) -> path."""

    def damage(node, field, index, change):
        path = tmp_path / "damaged.nir"
        path.write_bytes((run / "model.nir").read_bytes())
        with h5py.File(path, "r+") as file:
            group = file["node/nodes"]
            if f"{node}.membrane" in group and field in ("tau", "r"):
                node = f"{node}.membrane"
            elif field == "v_threshold" and field not in group[node]:
                field = "threshold"
            values = group[node][field][()]
            values[index] = change(values[index])
            group[node][field][...] = values
        return path

    return damage


def test_a_proof_on_a_part_of_the_test_split_says_so(run, tmp_path, capsys):
    output = tmp_path / "part.nir"
    assert export.main([str(run), "--samples", "20", "--output", str(output)]) == 0
    assert "20 samples" in capsys.readouterr().out
    record = json.loads(output.with_suffix(".equivalence.json").read_text())
    assert record["equal"] and record["samples"] == 20
    assert read_metadata(read_graph(output)).equivalence["samples"] == 20
    assert export.main([str(run), "--samples", "0"]) == 2
    assert "--samples is 0, allowed is 1 or more" in capsys.readouterr().err


def test_a_residual_network_from_training_to_evaluation(tmp_path, capsys):
    path = tmp_path / "resnet"
    options = ["--network.name", "resnet19", "--network.channel_scale", "0.03125"]
    options += ["--network.pooling", "sum", "--network.init", "firing"]
    options += ["--epochs", "1", "--timesteps", "2", "--optimizer.batch_size", "480", "--quiet"]
    assert train.main(["digits", *options, "--output", str(path)]) == 0
    assert export.main([str(path), "--samples", "30"]) == 0
    assert evaluate.main([str(path / "model.nir"), "--data", "digits"]) == 0
    graph = read_graph(path / "model.nir")
    assert sorted(a for a, b in graph.edges if b == "blocks.1.neuron2") == [
        "blocks.0.neuron2",
        "blocks.1.conv2",
    ]
    assert isinstance(graph.nodes["pool"], nir.SumPool2d)
    refused = tmp_path / "max"
    options = ["--network.pooling", "max", "--network.channels", "[2,2]", "--epochs", "1"]
    assert train.main(["digits", *options, "--quiet", "--output", str(refused)]) == 0
    capsys.readouterr()
    assert export.main([str(refused)]) == 2
    error = capsys.readouterr().err
    assert "MaxPool2d" in error and "network.pooling average or sum" in error
    assert error.count("\n") == 1 and not (refused / "model.nir").exists()


def test_export_proves_the_whole_test_split(run):
    record = json.loads((run / "model.equivalence.json").read_text())
    assert record["equal"] and record["samples"] == 360 and record["timesteps"] == 4
    for layer in record["float64"]["layers"]:
        assert layer["identical"] == 1.0 and layer["jaccard"] == 1.0
        assert layer["spikes_in_either"] > 0
    for layer in record["float32"]["layers"]:
        assert layer["identical"] >= 0.9999 and layer["unexplained"] == 0
    assert record["float64"]["predictions_differing"] == 0
    assert record["float32"]["predictions_differing"] == 0


def test_the_file_loads_plainly_and_says_what_nir_cannot(run):
    graph = nir.read(run / "model.nir", type_check=True)
    metadata = read_metadata(graph)
    assert metadata.timesteps == 4 and metadata.dt == 1e-4 and metadata.dataset == "digits"
    assert metadata.class_names == tuple("0123456789")
    assert metadata.equivalence["equal"] is True
    plain = any(isinstance(node, nir.LIF) for node in graph.nodes.values())
    assert plain == (run.name == "zero")


def test_verify_says_equal(run, capsys):
    assert verify.main([str(run), str(run / "model.nir")]) == 0
    assert "equal: every spike is the same" in capsys.readouterr().out
    assert verify.main([str(run / "model.nir"), str(run / "model.nir")]) == 0


@pytest.mark.parametrize(
    ("node", "field", "index", "change", "layer"),
    [
        ("features.3", "weight", (2, 1, 1, 1), lambda w: w + 0.3, "features.5"),
        ("features.5", "v_threshold", (3, 2, 2), lambda v: v * 0.8, "features.5"),
        ("features.5", "tau", (1, 1, 1), lambda tau: tau * 1.2, "features.5"),
    ],
)
def test_a_damaged_copy_is_reported_with_layer_and_timestep(
    run, damaged, node, field, index, change, layer, capsys
):
    path = damaged(node, field, index, change)
    assert verify.main([str(run), str(path)]) == 1
    out = capsys.readouterr().out
    assert f"NOT equal: first divergence in layer '{layer}' at timestep" in out
    assert "differs in 1 of" in out


def test_damage_that_no_sample_reaches_is_reported(run, damaged, capsys):
    path = damaged("readout", "weight", (0, slice(None)), lambda w: w * (1 + 1e-12))
    assert verify.main([str(run), str(path)]) == 0
    with h5py.File(path, "r+") as file:
        weight = file["node/nodes/features.0/weight"][()]
        weight[0, 0, 0, 0] += 1e-7
        file["node/nodes/features.0/weight"][...] = weight
    capsys.readouterr()
    assert verify.main([str(run), str(path)]) == 1
    assert "weight of node 'features.0' differs in 1 of" in capsys.readouterr().out


def test_a_foreign_copy_in_other_volts_and_names(run, tmp_path, capsys):
    graph = read_graph(run / "model.nir")
    names = {name: f"n{i}" for i, name in enumerate(graph.nodes)}
    nodes = {names[name]: node for name, node in graph.nodes.items()}
    for node in nodes.values():
        if isinstance(node, nir.LIF):
            node.r, node.v_threshold = 3 * node.r, 3 * node.v_threshold
    edges = [(names[a], names[b]) for a, b in graph.edges]
    path, words = tmp_path / "foreign.nir", [str(run), str(tmp_path / "foreign.nir")]
    nir.write(path, nir.NIRGraph(nodes, edges, type_check=False))
    assert verify.main(words) == 2
    assert "does not state its timestep; please give --dt SECONDS." in capsys.readouterr().err
    assert verify.main([*words, "--dt", "1e-4"]) == 0
    out = capsys.readouterr().out
    assert "equal: every spike is the same" in out and "paired in the order in which they" in out
    nodes[names["readout"]].weight[0, 0] += 0.01
    nir.write(path, nir.NIRGraph(nodes, edges, type_check=False))
    assert verify.main([*words, "--dt", "1e-4"]) == 1


def test_the_wrong_reset_is_reported(run, tmp_path, capsys):
    graph = read_graph(run / "model.nir")
    if run.name == "zero":
        graph.nodes["features.2"].v_reset[:] = -0.2
    else:
        graph.nodes["features.2.reset"].scale[:] *= 0.5
    nir.write(tmp_path / "reset.nir", graph)
    assert verify.main([str(run), str(tmp_path / "reset.nir")]) == 1
    assert "first divergence in layer 'features.2' at timestep" in capsys.readouterr().out


def test_another_T_in_the_metadata_is_reported(run, tmp_path, capsys):
    graph = read_graph(run / "model.nir")
    text = graph.metadata["mpo_snn"]
    content = json.loads(text)
    graph.metadata["timesteps"] = 5
    if "timesteps" in content:
        graph.metadata["mpo_snn"] = json.dumps({**content, "timesteps": 5})
    nir.write(tmp_path / "t.nir", graph)
    assert verify.main([str(run), str(tmp_path / "t.nir")]) == 1
    assert "timesteps is 5, the run has 4" in capsys.readouterr().out


def test_subtraction_as_plain_lif_needs_two_words(run, tmp_path, capsys):
    if run.name == "zero":
        pytest.skip("only a reset by subtraction has no plain form")
    out = tmp_path / "plain.nir"
    assert export.main([str(run), "--plain-reset", "--output", str(out)]) == 1
    assert not out.exists() and "Nothing was written" in capsys.readouterr().out
    arguments = [str(run), "--plain-reset", "--allow-different", "--output", str(out)]
    assert export.main(arguments) == 1
    metadata = read_metadata(nir.read(out))
    assert metadata.equivalence["equal"] is False
    assert any("NOT the trained network" in note for note in metadata.notes)


def test_file_for_nir_1_0_4(run, tmp_path, capsys):
    out = tmp_path / "old.nir"
    assert export.main([str(run), "--nir-version", "1.0.4", "--output", str(out)]) == 0
    assert ("without v_reset" in capsys.readouterr().out) == (run.name == "zero")
    assert verify.main([str(run), str(out)]) == 0
    metadata = read_metadata(nir.read(out))
    assert metadata.nir_version == "1.0.4"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which run?"),
        (["{run}", "--format", "onnxx"], "unknown format 'onnxx': choose one of nir"),
        (["{run}", "--nir-version", "2"], "unknown --nir-version '2': choose one of 1.0.8, 1.0.4"),
        (["{tmp}"], "not a run directory"),
        (["{tmp}/none"], "no such directory"),
        (["{run}", "--dt", "0"], "dt is 0 s, allowed is above 0"),
        (["{run}", "--dt", "soon"], "dt"),
        (["{run}", "--output", "{run}/recipe.yaml/x.nir"], "cannot write"),
        (["{run}", "--outptu", "x"], "did you mean --output"),
    ],
)
def test_bad_input_of_export_is_one_line(run, tmp_path, arguments, message, capsys):
    before = sorted(p.name for p in run.iterdir())
    words = [word.format(run=run, tmp=tmp_path) for word in arguments]
    assert export.main(words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and error.startswith("mpo-export: error: ")
    assert sorted(p.name for p in run.iterdir()) == before and not list(tmp_path.iterdir())


def _truncated(path, good):
    path.write_bytes(good[: len(good) // 2])


def _text(path, good):
    path.write_text("not a graph")


def _empty(path, good):
    path.write_bytes(b"")


def _changed(edit):
    def write(path, good):
        path.write_bytes(good)
        with h5py.File(path, "r+") as file:
            edit(file["node"])

    return write


def _unknown_node(node):
    del node["nodes/features.3/type"]
    node["nodes/features.3/type"] = "Hologram"


def _missing_edge(node):
    edges = node["edges"][()]
    del node["edges"]
    node["edges"] = [edge for edge in edges if edge[0] != b"features.3"]


def _mismatch(node):
    weight = node["nodes/readout/weight"][()]
    del node["nodes/readout/weight"]
    node["nodes/readout/weight"] = weight[:, :-3]


def _nan(node):
    node["nodes/features.3/weight"][0, 0, 0, 0] = np.nan


def _fast_tau(node):
    name = "features.2.membrane" if "features.2.membrane" in node["nodes"] else "features.2"
    node[f"nodes/{name}/tau"][0, 0, 0] = 1e-5


def _no_field(node):
    del node["nodes/features.3/weight"]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_truncated, "truncated|damaged|HDF5"),
        (_text, "HDF5"),
        (_empty, "HDF5"),
        (_changed(_unknown_node), "Hologram"),
        (_changed(_missing_edge), "features.3"),
        (_changed(_mismatch), "readout"),
        (_changed(_nan), "NaN"),
        (_changed(_fast_tau), "tau"),
        (_changed(_no_field), "weight"),
    ],
)
def test_a_broken_file_is_one_line_and_exit_2(run, tmp_path, write, message, capsys):
    path = tmp_path / "broken.nir"
    write(path, (run / "model.nir").read_bytes())
    assert verify.main([str(run), str(path), "--output", str(tmp_path / "record.json")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mpo-verify: error: ") and str(path) in error
    import re

    assert re.search(message, error), error
    assert "Traceback" not in error
    assert not (tmp_path / "record.json").exists()


def test_a_full_disk_leaves_the_old_file(run, tmp_path):
    """A limit on file size stands in for the disk: writing fails in the middle."""
    out = tmp_path / "model.nir"
    out.write_bytes(b"the old file")
    code = (
        "import sys, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from mpo_snn.cli.export import main\n"
        f"sys.exit(main([{str(run)!r}, '--output', {str(out)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        env={**os.environ, "TMPDIR": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1 and "cannot write" in done.stderr
    assert out.read_bytes() == b"the old file"
    assert [p.name for p in tmp_path.iterdir()] == ["model.nir"]
