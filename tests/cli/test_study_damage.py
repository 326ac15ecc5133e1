"""`mpo-study` against input that would mislead, and against folders that somebody edited."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from mpo_snn.cli.study import main
from mpo_snn.cli.train import main as train
from mpo_snn.evaluation.study_folder import opened_folder
from mpo_snn.evaluation.study_parsing import parse_configurations
from mpo_snn.evaluation.study_plan import Plan
from mpo_snn.training.recipe_file import load_recipe

TINY = """\
# Less than a second of training.
epochs: 1
timesteps: 2
data: {name: digits, train_limit: 60, test_limit: 30}
network: {name: convnet, channels: [2]}
optimizer: {batch_size: 60}
"""
LINE = "tiny.yaml --seeds 0 --configurations full --device cpu --quiet --output out"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own with a recipe in it, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


def told(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said of wrong input: one line, or findings one a line."""
    capsys.readouterr()
    assert main(line.split()) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    (
        ("ablation tiny.yaml --configurations a=--data.validation=0.2,full", "'a' sets data.val"),
        ("ablation tiny.yaml --configurations a=--data.test_limit=9", "measured on the same samp"),
        ("timesteps tiny.yaml --configurations a=--timesteps=3", "T is given by --sweep"),
        ("timesteps tiny.yaml --timesteps 3", "use --sweep instead of --timesteps"),
        ("timesteps tiny.yaml --sweep 1,2,2", "sweep has 2 more than once"),
        ("ablation tiny.yaml --tuning_seeds 4 --seeds 3-5", "tuning_seeds has 4, which is comp"),
        ("ablation tiny.yaml --data.validation 0.3", "judged by the samples that chose its slope"),
        ("ablation tiny.yaml --slopes 1,1.0000000001", "slopes has 1 more than once"),
        ("ablation tiny.yaml --slopes 1e300", "slopes is 1e+300, allowed is above 0 to 1e+30"),
        ("robustness tiny.yaml --gaussian 0.1,0.1", "gaussian has 0.1 more than once"),
        ("ablation tiny.yaml --method klif", "would change nothing"),
        ("ablation tiny.yaml --jobs 1000000", "jobs is 1000000, allowed is 1 to 1000"),
        ("ablation tiny.yaml --configurations=", "--configurations is empty"),
        ("ablation tiny.yaml --output=", "--output is empty"),
    ),
)
def test_what_would_mislead_is_refused(
    line: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in told(line, capsys)
    assert [path.name for path in folder.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize("name", ("klif", "full", "tuning-slope3"))
def test_names_that_mean_something_else(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"ablation tiny.yaml --configurations {name}=--epochs=1"
    assert "give yours another name" in told(line, capsys)


def test_a_study_that_never_began_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"ablation {LINE} --data.name mnist"
    assert "get it from" in told(line, capsys)
    assert not (folder / "out").exists()


def test_equal_configurations_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    line = "ablation tiny.yaml --seeds 0 --configurations baseline,fixed --device cpu --output out"
    assert main(line.split()) == 0
    note = "fixed trains what baseline trains: it is done twice."
    assert capsys.readouterr().out.count(note) == 2
    assert note in json.loads(Path("out/summary.json").read_text())["notes"]


@pytest.mark.parametrize(
    ("content", "message"),
    (
        ('{"settings": {}, "measured": {}, "sha256": "0"}', "its checksum does not match"),
        ("[]", "it is damaged"),
        ("[" * 5000, "it is damaged"),
        (None, "Is a directory"),
    ),
)
def test_edited_measurements(
    content: str | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ablation", *LINE.split()]) == 0
    before = Path("out/results.csv").read_bytes()
    kept = Path("out/runs/full-s0/test-split.json")
    old = kept.read_text()
    kept.write_text(old.replace('"accuracy": 0.', '"accuracy": 1.'))
    assert "its checksum does not match. Delete it." in told(f"ablation {LINE}", capsys)
    kept.unlink()
    if content is None:
        kept.mkdir()
    else:
        kept.write_text(content)
    error = told(f"ablation {LINE}", capsys)
    assert message in error and str(kept) in error
    if content is None:
        kept.rmdir()
    else:
        kept.write_text('{"settings": {}, "measured": {}}')
    assert main(["ablation", *LINE.split()]) == 0
    assert Path("out/results.csv").read_bytes() == before
    assert kept.read_text() == old


@pytest.mark.parametrize("content", (b"", b"\xff\xfe\n"))
def test_a_note_of_divergence_that_says_nothing(
    content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ablation", *LINE.split()]) == 0
    Path("out/runs/full-s0/diverged.txt").write_bytes(content)
    assert main(["ablation", *LINE.split()]) == 1
    assert "full-s0 diverged and is left out" in capsys.readouterr().out


@pytest.mark.parametrize("name", ("metrics", "membrane", "gradients", "histogram"))
def test_tables_of_a_watched_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dynamics", *LINE.split()]) == 0
    path = Path(f"out/runs/full-s0/{name}.csv")
    heading = path.read_text().splitlines()[0]
    for content, message in (
        ("", "it does not hold every epoch"),
        (f"{heading}\n", "it does not hold every epoch"),
        ("a,b\n1,2\n", "it is damaged"),
        (f"{heading}\nx\n", "it is damaged"),
        ("\xff\0", "it is damaged"),
    ):
        path.write_text(content, encoding="latin1")
        error = told(f"dynamics {LINE}", capsys)
        assert message in error and str(path) in error and "Delete its run directory" in error


@pytest.mark.parametrize(
    ("name", "column", "value", "message"),
    (
        ("metrics", "test_accuracy", "nan", "test_accuracy of epoch 1 is nan"),
        ("metrics", "test_accuracy", "7.5", "test_accuracy of epoch 1 is 7.5"),
        ("membrane", "width", "inf", "width of epoch 1 is inf"),
        ("gradients", None, None, "epoch 2 has no gradient_norm of"),
    ),
)
def test_values_of_a_watched_run_that_cannot_be(
    name: str,
    column: str | None,
    value: str | None,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = f"{LINE} --epochs 2"
    assert main(["dynamics", *line.split()]) == 0
    path, written = Path(f"out/runs/full-s0/{name}.csv"), Path("out/summary.json")
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    if column is None:
        rows.pop()
    else:
        rows[0][column] = value  # type: ignore[assignment]
    with path.open("w", newline="") as lines:
        table = csv.DictWriter(lines, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
    before = written.read_bytes()
    assert message in told(f"dynamics {line}", capsys)
    assert written.read_bytes() == before


def test_a_folder_is_kept_from_a_second_process(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = load_recipe("tiny.yaml")
    plan = Plan("ablation", recipe, (0,), parse_configurations("full"), folder / "out", "")
    program = "import sys; from mpo_snn.cli.study import main; sys.exit(main(sys.argv[1:]))"
    with opened_folder(plan):
        second = subprocess.run(
            [sys.executable, "-c", program, "ablation", *LINE.split()],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert second.returncode == 2
    assert "another mpo-study does so now" in second.stderr
    assert main(["ablation", *LINE.split()]) == 0


@pytest.mark.parametrize(
    ("line", "message"),
    (
        ("--neuron.slope 3", "neuron.slope is 3, but --tune chooses it"),
        ("--data.validation 0.3", "--tune holds out a part of the training data itself"),
        ("--seed 1001", "seed is 1001, but --tune chooses the slope with the seeds 1000, 1001"),
    ),
)
def test_what_tuning_would_overrule(
    line: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(["tiny.yaml", "--method", "fixed", "--tune", *line.split()]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["tiny.yaml"]


def test_tuning_for_the_folder_that_one_is_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "here").mkdir()
    recipe = str(folder / "tiny.yaml")
    monkeypatch.chdir(folder / "here")
    line = ["--method", "fixed", "--tune", "--output", ".", "--quiet", "--device", "cpu"]
    assert train([recipe, *line]) == 0
    assert (folder / "here-tuning" / "tuning.json").is_file()
    assert (folder / "here" / "model.safetensors").is_file()
