"""Comparisons by hand, and as a user meets them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nir
import numpy as np
import pytest
from rich.console import Console

from mpo_snn.cli.evaluate import main
from mpo_snn.cli.verify import main as verify
from mpo_snn.data.digest import digest_of
from mpo_snn.data.fit import fit_dataset
from mpo_snn.data.named_by_content import name_by_content
from mpo_snn.errors import DataError
from mpo_snn.evaluation.comparison import compare
from mpo_snn.evaluation.comparison_console import comparison_view
from mpo_snn.evaluation.comparison_input import read_report
from mpo_snn.evaluation.comparison_page import render_comparison
from mpo_snn.evaluation.evaluate import evaluate_graph
from mpo_snn.evaluation.faults import faulty_graph
from mpo_snn.evaluation.report import build_report
from mpo_snn.evaluation.setting import Setting
from mpo_snn.profiles.energy import load_energy_profile


def report_of(small, tmp_path, graph=None, timesteps=5):
    path = tmp_path / "model.nir"
    path.write_bytes(b"the file")
    return build_report(
        evaluate_graph(
            graph or small.graph,
            small.dataset,
            Setting("noise", timesteps, 1e-4, "direct", "mean"),
        ),
        load_energy_profile("45nm-float32"),
        None,
        graph_file=path,
        command="mpo-evaluate",
    )


def test_values_stand_beside_each_other(small, tmp_path):
    dead = faulty_graph(small.graph, "dead_neurons", 0.5, 0)
    a, b = report_of(small, tmp_path), report_of(small, tmp_path, dead)
    comparison = compare([a, b], ["whole", "half"])
    rows = {row["name"]: row for row in comparison["rows"]}
    energy = [one["summary"]["energy_pj_per_inference"] for one in (a, b)]
    assert rows["energy per inference"]["values"] == energy
    assert rows["energy per inference"]["against_first"] == ["", f"x{energy[1] / energy[0]:.3g}"]
    assert rows["parameters"]["values"] == [one["total"]["parameters"] for one in (a, b)]
    assert rows["memory in float32"]["shown"][0] == f"{4 * a['total']['parameters']} B"
    points = b["summary"]["accuracy_percent"] - a["summary"]["accuracy_percent"]
    assert rows["accuracy"]["against_first"] == ["", f"{points:+.2f} points"]
    assert [one["name"] for one in comparison["layers"]] == ["lif1", "lif2", "lif3"]
    assert comparison["layers"][0]["densities"] == [one["layers"][0]["density"] for one in (a, b)]
    assert comparison["remarks"] == []
    console = Console(width=100)
    with console.capture() as shown:
        console.print(comparison_view(comparison))
    assert "half" in shown.get() and "lif3" in shown.get()


def test_what_is_not_comparable_is_said(small, tmp_path):
    a, b = report_of(small, tmp_path), report_of(small, tmp_path, timesteps=3)
    assert compare([a, b], ["a", "b"])["remarks"] == ["not the same: timesteps (a 5, b 3)"]


def evaluated(tmp_path, run, *options, data=None):
    """The report of a small run of `mpo-evaluate` on an archive, in a folder of its own."""
    words = "--timesteps 2 --encoding direct --samples 6 --device cpu".split()
    if data is not None:
        words += ["--data", "archive", "--data.path", str(data)]
    if "--dt" not in options:
        words += ["--dt", "1e-4"]
    if "--readout" not in options:
        words += ["--readout", "sum"]
    folder = tmp_path / run
    argv = [str(tmp_path / "some.nir"), *words, *options, "--output", str(folder)]
    assert main(argv) == 0
    return str(folder / "report.json")


def archive(path, *, seed=0, shape=(6, 6)):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (12, *shape), dtype=np.uint8)
    labels = np.arange(12) % 3
    np.savez(path, x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    return path


def remarks_of(capsys, *reports):
    capsys.readouterr()
    assert main(["--compare", *reports]) == 0
    lines = capsys.readouterr().out.splitlines()
    return [line.removeprefix("warning  ") for line in lines if line.startswith("warning")]


def test_what_was_evaluated_is_compared(small, tmp_path, capsys):
    nir.write(tmp_path / "some.nir", small.graph)
    (tmp_path / "moved").mkdir()
    mine, moved = archive(tmp_path / "mine.npz"), archive(tmp_path / "moved" / "mine.npz")
    other = archive(tmp_path / "other.npz", seed=1)
    a = evaluated(tmp_path, "a", data=mine)
    report = json.loads(Path(a).read_text())
    assert report["setting"]["data_title"] == "mine"
    assert report["setting"]["input_scaling"] == "value / 255"
    assert "mine" in (tmp_path / "a" / "report.html").read_text().split("</header>")[0]
    assert "some.nir on mine" in capsys.readouterr().out
    same = evaluated(tmp_path, "same", data=moved)
    assert remarks_of(capsys, a, same) == []

    b = evaluated(tmp_path, "b", data=other)
    digests = [json.loads(Path(path).read_text())["setting"]["data_digest"] for path in (a, b)]
    assert remarks_of(capsys, a, b) == [
        "not the same: name of the data (a mine, b other)",
        f"not the same: content of the samples (a {digests[0]}, b {digests[1]})",
    ]
    changed = evaluated(tmp_path, "c", "--input-scale", "4", "--readout", "last", data=mine)
    assert remarks_of(capsys, a, changed) == [
        "not the same: input scaling (a value / 255, c 4 * (value / 255))",
        "not the same: readout (a sum, c last)",
    ]
    finer = evaluated(tmp_path, "d", "--dt", "5e-5", data=mine)
    assert remarks_of(capsys, a, finer) == ["not the same: dt in s (a 0.0001, d 5e-05)"]
    fewer = evaluated(tmp_path, "e", "--samples", "3", data=mine)
    assert remarks_of(capsys, a, fewer) == ["not the same: samples (a 6, e 3)"]


def test_data_at_a_path_needs_no_name(small, tmp_path, capsys):
    nir.write(tmp_path / "some.nir", small.graph)
    data = archive(tmp_path / "mine.npz")
    report = json.loads(Path(evaluated(tmp_path, "a", "--data.path", str(data))).read_text())
    assert (report["setting"]["dataset"], report["setting"]["data_title"]) == ("archive", "mine")
    file = str(tmp_path / "some.nir")
    words = "--timesteps 2 --dt 1e-4 --encoding direct --samples 3".split()
    assert verify([file, file, *words, "--data.path", str(data)]) == 0
    assert "mine, test split (value / 255): 3 samples" in capsys.readouterr().out
    assert main([file, *words, "--readout", "sum", "--data", str(data)]) == 2
    assert f"given with --data.path {data}." in capsys.readouterr().err


def test_image_files_at_a_path_are_told_from_an_archive(tmp_path):
    (tmp_path / "pictures" / "train" / "cat").mkdir(parents=True)
    assert name_by_content(str(tmp_path / "pictures")) == "imagefolder"
    assert name_by_content(str(archive(tmp_path / "mine.npz"))) == "archive"
    assert name_by_content(None) is None


def test_the_shape_that_a_graph_takes_is_no_other_data(small, tmp_path):
    flat = fit_dataset(small.dataset, (36,), 1.0)
    assert digest_of(flat.test_x, flat.test_y) == digest_of(
        small.dataset.test_x, small.dataset.test_y
    )
    assert flat.input_scaling == "uniform in [0, 1], (1, 6, 6) as (36,)"
    assert flat.value_scaling == "uniform in [0, 1]"


def test_reports_of_before_are_compared_as_far_as_they_say(small, tmp_path, capsys):
    report = report_of(small, tmp_path)
    new = tmp_path / "new.json"
    new.write_text(json.dumps(report))
    for key in ("data_title", "data_digest", "input_scaling"):
        del report["setting"][key]
    old = tmp_path / "old.json"
    old.write_text(json.dumps(report))
    assert remarks_of(capsys, str(old), str(old)) == [
        "not stated by any of these reports: name of the data, content of the samples, input"
        " scaling; made anew, they say whether these are the same"
    ]
    assert remarks_of(capsys, str(old), str(new))[::2] == [
        "not known to be the same: name of the data (old.json not stated, new.json noise)",
        "not known to be the same: input scaling (old.json not stated, new.json uniform in [0, 1])",
    ]
    comparison = compare([read_report(old), read_report(new)], ["a", "b"])
    assert '<p class="lede">noise,' in render_comparison(comparison)
    report["setting"]["data_digest"] = ["3f"]
    old.write_text(json.dumps(report))
    with pytest.raises(DataError, match="data_digest is \\['3f'\\], expected text"):
        read_report(old)


def test_reports_are_read_back(small, tmp_path, capsys):
    report = report_of(small, tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(json.dumps(report))
    files = [str(tmp_path / name / "report.json") for name in ("a", "b")]
    assert main(["--compare", *files, "--output", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["a", "b"]
    written = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert written == json.loads(json.dumps(compare([report, report], ["a", "b"])))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "it is no JSON"),
        ("[]", "no report of schema"),
        ('{"schema_version": 99}', "no report"),
    ],
)
def test_what_is_no_report(tmp_path, content, message):
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_report(path)
    with pytest.raises(DataError, match="No such file"):
        read_report(tmp_path / "absent.json")


def test_one_file_is_no_comparison(capsys):
    assert main(["--compare", "a.json"]) == 2
    assert "--compare A B" in capsys.readouterr().err


def test_a_report_that_lacks_what_is_compared_is_refused(small, tmp_path):
    report = report_of(small, tmp_path)
    del report["summary"]["density"]
    report["setting"]["samples"] = None
    report["layers"][1]["density"] = "high"
    report["decisions"]["timesteps"] = [1]
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report))
    with pytest.raises(DataError) as caught:
        read_report(path)
    assert list(caught.value.findings) == [
        "summary.density is missing, expected null or a number from 0",
        "setting.samples is None, expected a whole number from 0",
        "decisions.timesteps is [1], expected a list of timesteps with their accuracies",
        "layers.1.density is 'high', expected null or a number from 0",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 100_000, "it is no JSON"),
        ({"accuracy_percent": float("nan")}, "accuracy_percent is nan, expected null or a number"),
        ({"accuracy_percent": 101}, "accuracy_percent is 101, expected null or a number from 0 to"),
        ({"energy_pj_per_inference": float("inf")}, "inf, expected null or a number from 0"),
        ({"synops_per_inference": -1}, "-1, expected null or a number from 0"),
    ],
)
def test_figures_that_no_report_can_have_are_refused(small, tmp_path, content, message):
    report = report_of(small, tmp_path)
    path = tmp_path / "report.json"
    if isinstance(content, dict):
        report["summary"] |= content
        content = json.dumps(report)
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_report(path)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("total.neurons", 10**400, "total.neurons is 1000"),
        ("summary.energy_pj_per_inference", 10**310, "expected null or a number from 0"),
        ("summary.energy_pj_per_inference", float("inf"), "expected null or a number from 0"),
        ("summary.energy_low_pj_per_inference", 1e12, "is 1000000000000.0, expected at most summ"),
        ("setting.dataset", "\ud800", r"setting.dataset is '\ud800', expected text"),
        ("setting.dataset", 3, "setting.dataset is 3, expected text"),
        ("layers.0.name", "\ud800", r"layers.0.name is '\ud800', expected text"),
        ("graph.file", "\ud800", r"graph.file is '\ud800', expected text"),
        ("summary.equivalence", "[/]", "expected one of equal, different, not recorded"),
        ("setting.samples", True, "setting.samples is True, expected a whole number from 0"),
        ("setting.timesteps", float("nan"), "setting.timesteps is nan, expected a whole number f"),
        ("setting.timesteps", "4", "setting.timesteps is '4', expected a whole number from 1"),
        ("setting.dt_s", "1e-4", "setting.dt_s is '1e-4', expected a number above 0"),
        ("setting.recompute_input", 0, "recompute_input is 0, expected true or false"),
        ("decisions.timesteps", [], "is [], expected a list of timesteps"),
        ("schema_version", True, "it is no report of schema version 1"),
        ("schema_version", 1.0, "it is no report of schema version 1"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_once(small, tmp_path, capsys, key, value, told):
    report = json.loads(json.dumps(report_of(small, tmp_path)))
    *places, last = key.split(".")
    part = report
    for place in places:
        part = part[int(place)] if isinstance(part, list) else part[place]
    part[last] = value
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report))
    assert main(["--compare", str(path), str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line and line.startswith(f"mpo-evaluate: error: cannot compare '{path}'")
    assert len(line) < 500


def test_the_largest_figures_are_drawn(small, tmp_path):
    report = json.loads(json.dumps(report_of(small, tmp_path)))
    for key in ("energy_pj", "energy_low_pj", "energy_high_pj", "dense_energy_pj"):
        report["summary"][f"{key}_per_inference"] = 1.7e308
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report))
    assert main(["--compare", str(path), str(path), "--output", str(tmp_path / "out")]) == 0


def test_what_is_wrong_with_any_file_is_told(small, tmp_path, capsys):
    (tmp_path / "empty.json").write_text("")
    good = tmp_path / "GOOD.JSON"
    good.write_text(json.dumps(report_of(small, tmp_path)))
    names = ("nix.json", "nix2.json", "empty.json", "nix.nir")
    assert main(["--compare", str(good), *(str(tmp_path / name) for name in names)]) == 2
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "mpo-evaluate: error: cannot compare these files: 4 findings"
    assert [line.partition("': ")[0] for line in lines] == [
        f"  - cannot read '{tmp_path / name}" for name in names
    ]
    assert main(["--compare", str(good), str(good)]) == 0
    assert main(["--compare", str(good), str(good), "--data", "digits"]) == 2
    assert "reports are compared as they are" in capsys.readouterr().err


def test_a_report_is_a_regular_file(small, tmp_path):
    path = tmp_path / "f.json"
    os.mkfifo(path)
    with pytest.raises(DataError, match=r"cannot read '.*f\.json': not a regular file"):
        read_report(path)
    for target, told in (("/dev/zero", "not a regular file"), (str(tmp_path), "Is a directory")):
        path.unlink()
        path.symlink_to(target)
        with pytest.raises(DataError, match=told):
            read_report(path)
