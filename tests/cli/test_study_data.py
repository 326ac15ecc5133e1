"""`mpo-study` takes over what was trained on the data that is there, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpo_snn.cli.study import main
from mpo_snn.cli.train import main as train
from mpo_snn.errors import StudyError
from mpo_snn.evaluation.study_folder import check_data
from mpo_snn.evaluation.study_plan import SHIPPED, trials_of
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.recipe_file import load_recipe
from mpo_snn.training.rundir import read_environment, write_environment

RECIPE = """\
# Less than a second of training.
epochs: 2
timesteps: 2
data: {name: archive, path: here.npz}
network: {name: convnet, channels: [2]}
optimizer: {batch_size: 20}
"""
LINE = "tiny.yaml --configurations baseline --device cpu --quiet --output out"


def write(seed: int = 0, test: int = 12) -> None:
    rng = np.random.default_rng(seed)
    arrays: dict[str, Any] = {}
    for part, count in (("train", 40), ("test", test)):
        arrays[f"x_{part}"] = rng.integers(0, 256, (count, 8, 8), dtype=np.uint8)
        arrays[f"y_{part}"] = np.arange(count) % 3
    np.savez("here.npz", **arrays)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own with a recipe and its data, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    write()
    return tmp_path


def study(seeds: str, what: str = "ablation") -> int:
    return main([what, *LINE.split(), "--seeds", seeds])


def files() -> dict[Path, int]:
    found = [path for path in Path("out").rglob("*") if path.is_file()]
    return {path: path.stat().st_mtime_ns for path in found}


def told(seeds: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said where a study is refused: one line, and nothing is trained."""
    before = files()
    capsys.readouterr()
    assert study(seeds) == 2
    assert files() == before
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def forget(run: str, *keys: str) -> None:
    path = Path("out/runs") / run
    environment = read_environment(path)
    for key in keys:
        del environment["data"][key]
    write_environment(path, environment)


def test_runs_on_other_data_are_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert study("0-1") == 0
    results = Path("out/results.csv").read_bytes()
    for seeds in ("0-1", "0-2"):
        write(seed=1)
        error = told(seeds, capsys)
        assert "cannot go on with the study in 'out'; put things back as they were, or choose" in (
            error
        )
        assert (
            "the data is not what baseline-s0, baseline-s1 began with: training samples with other"
            " content; samples evaluated on with other content." in error
        )
        write(test=15)
        assert "15 samples evaluated on, not 12." in told(seeds, capsys)
    write()
    assert study("0-1") == 0
    assert Path("out/results.csv").read_bytes() == results
    Path("here.npz").unlink()  # of which nothing is left to train or to measure
    assert study("0-1") == 0
    assert "here.npz" in told("0-2", capsys)


def test_of_runs_that_noted_no_digest_the_sizes_count(capsys: pytest.CaptureFixture[str]) -> None:
    assert study("0") == 0
    forget("baseline-s0", "train_digest", "evaluated_digest")
    write(test=15)
    assert "baseline-s0 began with: 15 samples evaluated on, not 12." in told("0-1", capsys)
    write(seed=1)
    assert study("0-1") == 0
    forget("baseline-s0", "train_samples", "evaluated_samples", "input_shape", "class_names")
    assert study("0-1") == 0


def test_a_run_that_saved_nothing_yet_may_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", stop)
        assert study("0") == 130
    write(seed=1)
    assert study("0") == 0


def test_data_that_changes_while_runs_train_is_told_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = TrainingModule.training_step

    def change(self: TrainingModule, *arguments: Any) -> Any:
        write(seed=1)
        return original(self, *arguments)

    monkeypatch.setattr(TrainingModule, "training_step", change)
    assert study("0-1") == 2
    error = capsys.readouterr().err
    assert "the data changed while they were trained. Delete those of one kind" in error
    assert "baseline-s1 differ: training samples with other content" in error
    assert not Path("out/results.csv").exists()


def test_runs_that_noted_nothing_are_not_compared(folder: Path) -> None:
    trials = trials_of(load_recipe("tiny.yaml"), [SHIPPED["baseline"]], [0, 1])
    for trial in trials:
        (folder / "out" / "runs" / trial.name).mkdir(parents=True)
    check_data(folder / "out", trials)
    for number, trial in enumerate(trials):
        write_environment(folder / "out/runs" / trial.name, {"data": {"train_samples": number}})
    with pytest.raises(StudyError, match="baseline-s1 differ: 0 training samples, not 1"):
        check_data(folder / "out", trials)


def test_a_file_in_the_place_of_a_run_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert study("0") == 0
    Path("out/runs/baseline-s1").write_text("a file")
    error = told("0-1", capsys)
    assert "'out/runs/baseline-s1' is a file, not the folder of a run; move it away." in error


def test_tuning_runs_on_other_data_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["tiny.yaml", *"--method fixed --tune --device cpu --quiet --output one".split()]
    Path("one-tuning/runs/tuning-slope1-s1000").mkdir(parents=True)
    path = Path("one-tuning/runs/tuning-slope1-s1000")
    (path / "diverged.txt").write_text("the loss is nan")
    write_environment(path, {"data": {"train_samples": 31}})
    assert train(words) == 2
    error = capsys.readouterr().err
    assert "tuning-slope1-s1000 began with: 32 training samples, not 31." in error
    assert not Path("one").exists()
