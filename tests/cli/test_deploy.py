"""`mpo-deploy` on wrong input: one line, an exit code that says whose fault, nothing written."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest

from mpo_snn.cli import deploy, evaluate, train, verify
from mpo_snn.data import load_dataset
from mpo_snn.graph.metadata import read_metadata
from mpo_snn.profiles import chip

TINY = "--epochs 1 --data.train_limit 100 --network.hidden [12] --quiet --device cpu"
FOREIGN = "--data digits --timesteps 4 --dt 1e-3 --encoding counts --readout spike_count"
SHIPPED = Path(chip.__file__).parent / "chips"


def lif(size: int, threshold: float) -> nir.LIF:
    ones = np.ones(size)
    return nir.LIF(tau=5e-3 * ones, r=5 * ones, v_leak=0 * ones, v_threshold=threshold * ones)


def write_foreign(path: Path, factor: float = 1.0, threshold: float = 1.0) -> None:
    """64 inputs, 20 LIF, 10 LIF, as a program would write them that knows no metadata of ours."""
    random = np.random.default_rng(0)
    first, second = random.normal(size=(20, 64)) * 0.3, random.normal(size=(10, 20)) * 0.5
    graph = nir.NIRGraph.from_list(
        nir.Input({"input": np.array([64])}),
        nir.Linear(first * factor),
        lif(20, threshold),
        nir.Linear(second),
        lif(10, 1.0),
        nir.Output({"output": np.array([10])}),
    )
    nir.write(path, graph)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A run for Xylo with its deployment, files of another program, broken files."""
    path = tmp_path_factory.mktemp("deploy")
    run = path / "run"
    assert train.main(["digits-xylo", "--output", str(run), *TINY.split()]) == 0
    assert deploy.main([str(run), "--target", "xylo-audio3", "--samples", "30"]) == 0
    write_foreign(path / "foreign.nir")
    write_foreign(path / "huge.nir", factor=1e300)
    write_foreign(path / "low.nir", threshold=-1.0)
    whole = (path / "foreign.nir").read_bytes()
    (path / "half.nir").write_bytes(whole[: len(whole) // 2])
    (path / "notes.txt").write_text("mine")
    (path / "empty.nir").mkdir()
    good = (SHIPPED / "xylo-audio3.toml").read_text()
    (path / "eight.toml").write_text(good.replace("value = 31\n", "value = 8\n", 1))
    (path / "noise.toml").write_bytes(bytes(range(128, 256)))
    random = np.random.default_rng(0)
    x, y = random.integers(0, 255, (24, 8, 8)).astype(np.uint8), np.arange(24) % 12
    np.savez(path / "twelve.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return path


def contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def words(line: str) -> list[str]:
    return [word.strip("'") for word in line.replace("FOREIGN", FOREIGN).split()]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run --target nosuch", "unknown chip profile 'nosuch'"),
        ("run --target eight.toml", "[neuron.hidden_spikes] value is 8, expected 31"),
        ("run --target noise.toml", "is not TOML"),
        ("run --target spinnaker2", "SpiNNaker2 can only be checked"),
        ("run --target xylo-audio3 --samples 0", "--samples is 0"),
        ("run --target xylo-audio3 --vectors -1", "--vectors is -1, allowed is 0 or more"),
        ("run --target xylo-audio3 --samples 3 --vectors 4", "--vectors is 4, allowed is 0 to 3"),
        ("run --target xylo-audio3 --calibration 5000", "allowed is 1 to 4096"),
        (
            "foreign.nir --target fpga FOREIGN --input-scale nan",
            "--input-scale is 'nan', allowed is",
        ),
        ("run --target xylo-audio3 --vectors 1e3", "--vectors is '1e3', allowed is a whole"),
        ("run --target xylo-audio3 --vectors null", "--vectors is 'null', allowed is a whole"),
        ("run --target xylo-audio3 --reset zero", "--reset is for a foreign file"),
        ("run --target xylo-audio3 --input-scale 2", "--input-scale is for a foreign file"),
        ("run --target xylo-audio3 --data.path x", "leave out data.path"),
        ("run --target xylo-audio3 --data archive --data.path twelve.npz", "of class 11, counted"),
        ("run --target xylo-audio3 --output notes.txt", "it is a file; name another"),
        ("run --target xylo-audio3 --output notes.txt/d", "notes.txt' is a file; name another"),
        ("run --target xylo-audio3 --output run", "a folder with other content"),
        (
            "run/deploy-xylo-audio3/quantized.nir --target xylo-audio3"
            " --output run/deploy-xylo-audio3",
            "it holds 'quantized.nir', which is deployed",
        ),
        ("run/deploy-xylo-audio3 --target xylo-audio3", "it is not a run directory"),
        ("empty.nir --target xylo-audio3 --dt 1e-3 --encoding counts", "it is not a run directory"),
        ("half.nir --target loihi-1 FOREIGN", "truncated or damaged"),
        ("notes.txt --target loihi-1", "expected a run directory or a .nir file"),
        ("foreign.nir --target loihi-1 --data digits", "--timesteps N, --dt SECONDS"),
        ("foreign.nir --target loihi-1", "counts|rows|rate|latency|frames, --readout spike_count."),
        ("foreign.nir --target loihi-1 --check", "please give --dt SECONDS, --encoding counts|"),
        ("foreign.nir --target loihi-1 FOREIGN --dt nan", "'nan', allowed is a finite number"),
        ("foreign.nir --target loihi-1 FOREIGN --data cifar10", "let mpo-train fetch it"),
        ("foreign.nir --target loihi-1 FOREIGN --dt 1", "shorter than dt = 1 s"),
        ("--list --samples 3", "give one of them, nothing else"),
        ("--list --show fpga", "give one of them, nothing else"),
        ("--show nosuch", "unknown chip profile 'nosuch'"),
    ],
)
def test_wrong_input_is_said_in_a_line(line, message, work, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    before = contents(work)
    assert deploy.main(words(line)) == 2
    assert message in capsys.readouterr().err
    assert contents(work) == before


def test_findings_are_told_at_once_and_before_the_check(work, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    wrong = "--vectors -5 --samples 0 --calibration 99999 --input-scale 0 --target nosuch"
    assert deploy.main(words(f"foreign.nir FOREIGN {wrong} --timesteps 0")) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "cannot deploy 'foreign.nir': 6 findings" in captured.err
    for told in ("--vectors is -5", "--samples is 0", "--calibration is 99999", "'nosuch'"):
        assert told in captured.err
    assert "--input-scale is 0, allowed is a finite number other than 0" in captured.err


def test_samples_beyond_those_that_are_there_are_told(work, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    line = "foreign.nir --target loihi-1 FOREIGN --data archive --data.path ten.npz"
    x, y = np.full((24, 8, 8), 200, np.uint8), np.arange(24) % 10
    np.savez("ten.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    edge = "--samples 99 --calibration 50 --output fewer"
    assert deploy.main(words(f"{line} {edge}")) == 0
    out = capsys.readouterr().out
    assert "note   --samples is 99, but there are only 24: all of them are run.\n" in out
    assert "note   --calibration is 50, but there are only 24: the quantizer sees all" in out
    assert deploy.main(words(f"{line} --output enough")) == 0
    assert "there are only" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run --target loihi-1 --output d", "allowed"),
        ("huge.nir --target speck-2e FOREIGN --output d", "divide all of a layer"),
        ("low.nir --target loihi-1 FOREIGN --output d", "thresholds above 0"),
        ("foreign.nir --target loihi-1 FOREIGN --encoding direct --output d", "analog values"),
    ],
)
def test_what_does_not_fit_is_an_answer(line, message, work, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    before = contents(work)
    assert deploy.main(words(line)) == 1
    assert message in capsys.readouterr().out
    assert contents(work) == before


def test_a_deployment_is_deployed_again_and_its_files_are_read(work, monkeypatch, capsys) -> None:
    """The real network is its run's, spike for spike; the rounded one may differ, and runs."""
    monkeypatch.chdir(work)
    folder = "run/deploy-xylo-audio3"
    again = [f"{folder}/quantized.nir", "--target", "xylo-audio3", "--samples", "20"]
    assert deploy.main([*again, "--output", "again"]) == 0
    assert verify.main(["run", f"{folder}/float.nir", "--samples", "40"]) == 0
    assert verify.main(["run", f"{folder}/quantized.nir", "--samples", "40"]) in (0, 1)
    assert evaluate.main([f"{folder}/quantized.nir", "--samples", "20"]) == 0
    assert "Traceback" not in capsys.readouterr().err


def test_advice_is_for_recipes_where_one_is_and_for_arguments_where_none_is(
    work, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(work)
    told, own = {}, "in a network of your own: "
    for source in ("run", "run/model.nir", "foreign.nir"):
        if source == "run/model.nir":
            shutil.copy("run/deploy-xylo-audio3/float.nir", source)
        options = FOREIGN.split() if source == "foreign.nir" else []
        assert deploy.main([source, "--target", "speck-2e", "--check", *options]) == 1
        told[source] = capsys.readouterr().out
    Path("run/model.nir").unlink()
    for source in ("run", "run/model.nir"):
        assert "--neuron.beta 1" in told[source] and "mpo-train RECIPE" in told[source]
        assert own not in told[source]
    assert f'{own}MPOLeaky(beta=1, input_gain="unit")' in told["foreign.nir"]
    assert "mpo-train" not in told["foreign.nir"] and "--neuron.beta 1" in told["foreign.nir"]
    assert "train and export it, mpo-deploy foreign.nir --target speck-2e" in told["foreign.nir"]


def test_deployments_of_two_files_in_a_folder_stand_side_by_side(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("one", "two")):
        write_foreign(tmp_path / f"{name}.nir", factor=1.0 + number)
        line = f"{name}.nir --target loihi-1 FOREIGN --samples 10 --calibration 4"
        assert deploy.main(words(line)) == 0
    folders = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert folders == ["one.deploy-loihi-1", "two.deploy-loihi-1"]


def test_the_next_line_of_a_check_can_be_copied(work, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    line = words("foreign.nir --target loihi-1 FOREIGN --samples 20 --output copied")
    assert deploy.main([*line, "--check"]) == 0
    assert f"next   mpo-deploy {' '.join(line)}" in capsys.readouterr().out
    assert not Path("copied").exists()
    assert deploy.main(line) == 0
    assert Path("copied/manifest.json").is_file()


def test_a_check_needs_no_data(work, monkeypatch, capsys) -> None:
    """What a deployment needs besides stands in the line that is next."""
    monkeypatch.chdir(work)
    line = "foreign.nir --target fpga --dt 1e-3 --encoding counts"
    assert deploy.main([*line.split(), "--check"]) == 0
    out = capsys.readouterr().out
    assert f"next   mpo-deploy {line} --data NAME --timesteps N --readout spike_count" in out
    assert "no limit is known, so nothing was checked for size" in out and "fits" not in out


def test_the_same_finding_stands_once_with_all_places(work, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    assert deploy.main(words("foreign.nir --target xylo-audio3 FOREIGN")) == 1
    out = capsys.readouterr().out
    assert "lif, lif_1  reset to zero" in out and out.count("reset to zero") == 1
    assert "64 of 16 channels" in out  # resources have units


def test_what_it_is_at_is_told_where_nobody_watches(work, monkeypatch, capsys) -> None:
    """A line for each stage on stderr, and the clock of the chip among the answers."""
    monkeypatch.chdir(work)
    line = "run --target xylo-audio3 --samples 20 --calibration 5 --output told"
    assert deploy.main(line.split()) == 0
    captured = capsys.readouterr()
    stages = captured.err.splitlines()
    assert [stage.split()[1] for stage in stages] == ["loading", "rounding", "running"]
    assert "on 5 training samples" in stages[1] and "running 20 samples" in stages[2]
    assert "  clock " in captured.out and " MHz for timesteps of 0.1 ms" in captured.out


def test_a_chip_of_ones_own_is_found_from_elsewhere(work, monkeypatch) -> None:
    """A run remembers the path in full, and goes on from any folder."""
    from mpo_snn.training.rundir import open_run

    monkeypatch.chdir(work)
    (work / "mine.toml").write_text((SHIPPED / "xylo-audio3.toml").read_text())
    line = "--resume run --target mine.toml --epochs 1 --output fine --quiet --device cpu"
    assert train.main(line.split()) == 0
    assert open_run(work / "fine").target == str(work / "mine.toml")


def test_the_line_that_is_next_names_a_chip_of_ones_own_by_its_path(
    work, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(work)
    (work / "my speck.toml").write_text((SHIPPED / "speck-2e.toml").read_text())
    assert deploy.main(["run", "--target", "my speck.toml", "--check"]) == 1
    next_line = capsys.readouterr().out.partition("next   ")[2]
    told = shlex.split(next_line)
    assert told[:3] == ["mpo-train", "RECIPE", "--target"]
    assert chip.load_chip_profile(told[3]).name == "my speck"


def test_data_that_is_not_in_0_to_1_is_brought_there(tmp_path, monkeypatch, capsys) -> None:
    """The same integers and answers as of data that were divided; the factor is in the report."""
    monkeypatch.chdir(tmp_path)
    write_foreign(tmp_path / "foreign.nir")
    random = np.random.default_rng(0)
    x, y = random.integers(0, 17, (40, 64)).astype(np.float32), np.arange(40) % 10
    for name, factor in (("raw", 1), ("divided", 1 / 16)):
        np.savez(f"{name}.npz", x_train=x * factor, y_train=y, x_test=x * factor, y_test=y)
    line = words(f"foreign.nir --target loihi-1 {FOREIGN.replace('--data digits ', '')}")
    line += ["--calibration", "20", "--data.path"]
    assert deploy.main([*line, "raw.npz"]) == 2
    assert "--input-scale FACTOR multiplies them" in capsys.readouterr().err
    assert deploy.main([*line, "raw.npz", "--input-scale", "0.0625", "--output", "raw"]) == 0
    assert deploy.main([*line, "divided.npz", "--output", "divided"]) == 0
    raw, divided = (
        json.loads(Path(name, "report.json").read_text()) for name in ("raw", "divided")
    )
    assert raw["data"].endswith(", values times 0.0625")
    for name in ("float", "quantized"):
        stated = read_metadata(nir.read(f"raw/{name}.nir"))
        assert stated is not None and stated.input_scaling.startswith("0.0625 * (")
        assert stated.class_names == tuple(map(str, range(10)))
    for key in ("accuracy", "layers", "same_answer_percent", "events"):
        assert raw[key] == divided[key]


def test_what_a_check_does_not_do_is_noted(work, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    line = "run/deploy-xylo-audio3/float.nir --target xylo-audio3 --check".split()
    assert deploy.main(line) == 0
    assert "note " not in capsys.readouterr().out
    assert deploy.main([*line, "--vectors", "5"]) == 0
    assert "note   --vectors is of a deployment; a check writes nothing" in capsys.readouterr().out


def test_vectors_beyond_the_samples_are_refused_before_the_data_are_loaded(work, capsys) -> None:
    line = ["--target", "xylo-audio3", "--vectors", "4", "--samples"]
    assert deploy.main([str(work / "run"), *line, "3"]) == 2
    told = capsys.readouterr().err
    assert "--vectors is 4, allowed is 0 to 3" in told and "loading" not in told


def test_what_goes_otherwise_than_the_file_says_is_noted(work, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    line = "run/deploy-xylo-audio3/float.nir --target xylo-audio3 --check".split()
    assert deploy.main([*line, "--encoding", "rows"]) == 0
    assert "note " not in capsys.readouterr().out
    assert deploy.main([*line, "--encoding", "counts", "--timesteps", "9"]) == 0
    out = capsys.readouterr().out
    assert "note   encoding is counts, as --encoding says; the file says rows\n" in out
    assert "note   timesteps is 9, as --timesteps says; the file says " in out


def test_the_directory_names_the_samples(work) -> None:
    """Those of `--samples` are no beginning of the split: every class has its share."""
    folder = work / "run" / "deploy-xylo-audio3"
    found = json.loads((folder / "samples.json").read_text())
    report = json.loads((folder / "report.json").read_text())
    measured, digits = found["measured"], load_dataset("digits", 4)
    assert (measured["split"], found["calibration"]["split"]) == ("test", "training")
    assert digits.test_y[measured["index"]].tolist() == measured["label"]
    assert sorted(measured["index"]) != list(range(30))
    assert len(set(measured["index"])) == 30
    assert {measured["label"].count(label) for label in range(10)} <= {2, 3, 4}
    assert len(found["calibration"]["index"]) == report["calibration_samples"] == 128
    for name, answers in measured["answer"].items():
        right = sum(a == b for a, b in zip(answers, measured["label"], strict=True))
        assert right == report["accuracy"][name]["right"]
    assert "samples.json" in json.loads((folder / "manifest.json").read_text())["sha256"]


def test_vectors_are_written_where_they_are_asked_for(work, tmp_path) -> None:
    line = ["--target", "xylo-audio3", "--samples", "12", "--vectors", "5"]
    assert deploy.main([str(work / "run"), *line, "--output", str(tmp_path / "d")]) == 0
    vectors = np.load(tmp_path / "d" / "vectors.npz")
    measured = json.loads((tmp_path / "d" / "samples.json").read_text())["measured"]
    assert vectors["index"].tolist() == measured["index"][:5]
    assert vectors["label"].tolist() == measured["label"][:5]
    assert vectors["answer"].tolist() == measured["answer"]["chip"][:5]
    assert vectors["input"].shape[1] == 5
    named = json.loads((tmp_path / "d" / "manifest.json").read_text())["sha256"]
    assert "vectors.npz" in named and "network.json" in named
    assert not (work / "run" / "deploy-xylo-audio3" / "vectors.npz").exists()


def test_a_design_without_biases_is_trained_for_and_others_are_told(tmp_path, capsys) -> None:
    chip_file, table = tmp_path / "bare.toml", '[neuron.bias]\nvalue = false\nstatus = "exact"\n'
    fpga = (SHIPPED / "fpga.toml").read_text()
    chip_file.write_text(f'{fpga}\n{table}source = "the design"\n')
    target = ["--target", str(chip_file)]
    tiny = "--epochs 1 --data.train_limit 64 --network.channels [3] --quiet --device cpu".split()
    assert train.main(["digits", *target, "--output", str(tmp_path / "bare"), *tiny]) == 0
    assert "network.bias" in capsys.readouterr().err
    assert deploy.main([str(tmp_path / "bare"), *target, "--check"]) == 0
    assert deploy.main(["--show", str(chip_file)]) == 0
    assert re.search(r"bias +false", capsys.readouterr().out)
    assert (
        train.main(["digits", "--target", "fpga", "--output", str(tmp_path / "with"), *tiny]) == 0
    )
    capsys.readouterr()
    assert deploy.main([str(tmp_path / "with"), *target, "--check"]) == 1
    told = capsys.readouterr().out
    assert "neurons without a bias" in told and "--network.bias false" in told


def test_a_check_for_spinnaker2_tells_the_scale_of_each_layer(tmp_path, capsys) -> None:
    write_foreign(tmp_path / "foreign.nir")
    line = words("--target spinnaker2 --check --dt 1e-3 --encoding counts --reset subtract")
    assert deploy.main([str(tmp_path / "foreign.nir"), *line]) == 0
    layers = capsys.readouterr().out.partition("are multiplied by\n")[2].split("\n\n")[0]
    told = [float(row.split()[-1]) for row in layers.splitlines()]
    graph = nir.read(tmp_path / "foreign.nir")
    largest = [abs(n.weight).max() for n in graph.nodes.values() if hasattr(n, "weight")]
    assert told == pytest.approx([127 / value for value in largest], rel=1e-4)


@pytest.mark.parametrize("chip_name", ["loihi-1", "fpga"])
def test_layers_may_be_called_input_and_output(chip_name, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    write_foreign(tmp_path / "plain.nir")
    graph = nir.read("plain.nir")
    first, second = sorted(name for name, node in graph.nodes.items() if isinstance(node, nir.LIF))
    new = {"input": "in", "output": "out", first: "input", second: "output"}
    nodes = {new.get(name, name): node for name, node in graph.nodes.items()}
    edges = [(new.get(a, a), new.get(b, b)) for a, b in graph.edges]
    nir.write("named.nir", nir.NIRGraph(nodes, edges))
    for name in ("plain", "named"):
        line = f"{name}.nir --target {chip_name} {FOREIGN} --samples 20 --vectors 2 --output {name}"
        assert deploy.main(words(line)) == 0
    plain, named = (np.load(f"{name}/vectors.npz") for name in ("plain", "named"))
    assert plain["output"].any() and np.array_equal(plain["output"], named["output"])
    assert np.array_equal(plain[f"{first}.v"], named["input_neurons.v"])
    assert verify.main(["named/float.nir", "named/float.nir", "--samples", "5"]) == 0


def test_the_timestep_of_a_run_moves_the_clock_and_no_spike(work, tmp_path, capsys) -> None:
    line = [str(work / "run"), "--target", "xylo-audio3", "--samples", "12"]
    for name, dt in (("short", "1e-4"), ("long", "1e-2")):
        assert deploy.main([*line, "--dt", dt, "--output", str(tmp_path / name)]) == 0
    short, long = (json.loads((tmp_path / name / "report.json").read_text()) for name in
                   ("short", "long"))  # fmt: skip
    assert short["layers"] == long["layers"] and short["accuracy"] == long["accuracy"]
    clocks = [report["facts"][-1]["value"] for report in (short, long)]
    assert clocks[0] == pytest.approx(100 * clocks[1])
    assert json.loads((tmp_path / "long" / "network.json").read_text())["run"]["dt_s"] == 1e-2
    capsys.readouterr()
    assert deploy.main([*line, "--dt", "0"]) == 2
    assert "dt is 0 s, allowed is above 0" in capsys.readouterr().err


@pytest.mark.parametrize(("kernel", "size"), [((3, 1), (4, 5)), ((3, 2), (4, 5))])
def test_oblong_kernels_of_a_foreign_file(kernel, size, tmp_path, monkeypatch, capsys) -> None:
    """nir takes every kernel for square; one of odd and even sides cannot be made square."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    weight, ones = random.normal(0.2, 2, (2, 1, *kernel)), np.ones((2, *size))
    neurons = nir.LIF(tau=5e-3 * ones, r=5 * ones, v_leak=0 * ones, v_threshold=ones)
    nodes = {
        "in": nir.Input({"input": np.array([1, 8, 8])}),
        "conv": nir.Conv2d((8, 8), weight, 2, (1, 1), 1, 1, np.zeros(2)),
        "lif": neurons,
        "flat": nir.Flatten({"input": np.array([2, *size])}, 0, -1),
        "dense": nir.Linear(random.normal(0.2, 2, (10, 2 * size[0] * size[1]))),
        "last": lif(10, 1.0),
        "out": nir.Output({"output": np.array([10])}),
    }
    nir.write("own.nir", nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False))
    assert deploy.main(words(f"own.nir --target loihi-1 {FOREIGN} --samples 9 --output d")) == 0
    assert evaluate.main(["d/float.nir", "--data", "digits", "--samples", "9"]) == 0
    report = json.loads(Path("d/report.json").read_text())
    assert (
        report["accuracy"]["float"]["right"]
        == json.loads(Path("d/float.report.json").read_text())["summary"]["correct"]
    )


def test_help_says_that_every_class_has_its_share(capsys) -> None:
    assert deploy.main(["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "this many test samples, every class in its share" in text
