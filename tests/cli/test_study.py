from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from mpo_snn.cli.study import main
from mpo_snn.cli.train import main as train
from mpo_snn.evaluation.study_plan import StudyOptions
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.recipe_file import read_recipe

TINY = """\
# A second of training.
epochs: 2
timesteps: 2
data: {name: digits, train_limit: 120, test_limit: 60}
network: {name: convnet, channels: [2]}
optimizer: {lr: 1e-2, batch_size: 60}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own with a recipe in it, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    before = sorted(Path.cwd().rglob("*"))
    capsys.readouterr()
    assert main(words) == 2
    output = capsys.readouterr()
    assert sorted(Path.cwd().rglob("*")) == before
    assert output.out == ""
    assert output.err.startswith("mpo-study: error: ")
    assert output.err.count("\n") == 1
    return output.err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "a study and a recipe are needed"),
        ("ablation", "a study and a recipe are needed"),
        ("ablaton digits", "unknown study 'ablaton': did you mean ablation?"),
        ("nothing digits", "unknown study 'nothing'. Studies are ablation, "),
        ("ablation nothing", "unknown recipe 'nothing'"),
        ("ablation digits --seeds 3-1", "the range 3-1 runs backwards"),
        ("ablation digits --seeds x", "seeds is 'x'"),
        ("ablation digits --seed 3", "use --seeds instead of --seed"),
        (
            "ablation digits --configurations a=--network.hidden=8,8",
            "unknown configuration '8': if it is part of a list, that stands in brackets",
        ),
        ("ablation digits --configurations fulll", "unknown configuration 'fulll'"),
        ("ablation digits --configurations a=--neuron.wdth=1", "did you mean neuron.width?"),
        ("ablation digits --neuron.bta 1", "did you mean --neuron.beta?"),
        ("ablation digits --epochs 0", "epochs is 0"),
        ("ablation digits --sweep 4,8", "--sweep belongs to the study timesteps, not to ablation"),
        ("timesteps digits --sweep 0,4", "sweep is 0,4"),
        ("timesteps digits --sweep 4", "at least two different T"),
        ("timesteps digits --sweep 4,x", "sweep is '4,x'"),
        (
            "timesteps digits --slopes 1,2",
            "--slopes is for the configuration 'tuned'",
        ),
        ("robustness digits --gaussian 0", "gaussian is 0"),
        ("ablation digits --jobs many", "jobs is 'many', allowed is a whole number."),
        ("ablation digits --jobs 0", "jobs is 0, allowed is 1 to 1000, or -1"),
        ("ablation digits --backend slurm", "backend is 'slurm', allowed is loky, dask, ray."),
        ("ablation digits --output tiny.yaml", "cannot put the study into 'tiny.yaml'"),
        ("ablation digits --output .", "it holds other files"),
    ],
)
def test_wrong_input_is_one_line_and_writes_nothing(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(line.split(), capsys)


def test_help_and_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "mpo-study ablation digits --epochs 1 --seeds 0,1" in capsys.readouterr().out
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("ablation", "no-dist", "tuned", "digits", "fixed"))


def run(line: str) -> int:
    return main([*line.split(), "--device=cpu", "--output=out"])


def rows(path: str = "out/results.csv") -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def values(measure: str, **where: str) -> list[float]:
    """Values of the measure for a whole network, where other columns are as given."""
    return [
        float(row["value"])
        for row in rows()
        if row["measure"] == measure
        and not row["layer"]
        and all(row[key] == value for key, value in where.items())
    ]


def test_ablation_from_end_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    silent = "cold=--neuron.threshold 100 --network.init torch"
    line = "ablation tiny.yaml --seeds 0,1 --slopes 1,4 --tuning_seeds 7 --configurations"
    words = [*line.split(), f"full,tuned,{silent}"]
    assert main([*words, "--device=cpu", "--output=out"]) == 0
    told = capsys.readouterr().out
    assert "tuned baseline: slope" in told
    assert "out of 1, 4, by mean accuracy of 1 seed on 20 % of the training data" in told
    assert values("density", configuration="cold") == [0.0, 0.0]
    summary = json.loads(Path("out/summary.json").read_text())
    assert summary["seeds"] == [0, 1]
    assert summary["versions"]["torch"]
    assert summary["command"].startswith("mpo-study ablation tiny.yaml")
    validation = summary["tuning"]["validation_accuracy"]
    best = max(validation, key=lambda slope: (validation[slope], -float(slope)))
    assert summary["tuning"]["chosen_slope_per_volt"] == float(best)
    full, tuned = (values("accuracy", configuration=name) for name in ("full", "tuned"))
    against = summary["results"]["full"]["accuracy_against"]["tuned"]
    assert against["mean"] == pytest.approx(sum(full) / 2 - sum(tuned) / 2, abs=1e-6)
    assert Path("out/figures/ablation.svg").stat().st_size > 1000
    assert Path("out/figures/ablation.png").stat().st_size > 1000
    assert sorted(path.name for path in Path("out/runs").iterdir()) == [
        *(f"{name}-s{seed}" for name in ("cold", "full", "tuned") for seed in (0, 1)),
        "tuning-slope1-s7",
        "tuning-slope4-s7",
    ]
    times = {path: path.stat().st_mtime_ns for path in Path("out/runs").rglob("model.safetensors")}
    before = Path("out/results.csv").read_text()
    assert main([*words, "--device=cpu", "--output=out"]) == 0
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert Path("out/results.csv").read_text() == before
    capsys.readouterr()
    assert run("robustness tiny.yaml") == 2
    assert "it holds the study ablation of the recipe tiny" in capsys.readouterr().err
    assert run("ablation tiny.yaml --seeds 0 --configurations full --epochs 3") == 2
    assert "full-s0 had other epochs." in capsys.readouterr().err


def test_a_run_that_diverges_is_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    line = "ablation tiny.yaml --seeds 0 --configurations baseline,wild=--optimizer.lr=1e30"
    assert run(line) == 0
    assert values("diverged") == [1.0]
    assert [row["configuration"] for row in rows() if row["measure"] == "diverged"] == ["wild"]
    assert "wild-s0 diverged and is left out: training stopped in epoch" in capsys.readouterr().out
    assert run(line) == 0
    assert Path("out/figures/ablation.svg").is_file()
    capsys.readouterr()
    assert run("ablation tiny.yaml --seeds 0 --configurations wild=--optimizer.lr=1e30") == 1
    told = capsys.readouterr().out
    assert "nothing to show, so not written: figures/ablation." in told
    assert ".svg" not in told
    assert not list(Path("out/figures").iterdir())
    summary = json.loads(Path("out/summary.json").read_text())
    assert summary["notes"][-1].startswith("nothing to show")


def test_dynamics_of_which_every_run_diverges_writes_no_figure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("dynamics tiny.yaml --seeds 0 --configurations wild=--optimizer.lr=1e30") == 1
    assert "not written: figures/training-curves, membranes" in capsys.readouterr().out
    assert not list(Path("out/figures").iterdir())


def test_interrupted_studies_go_on_where_they_stopped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "ablation tiny.yaml --seeds 0,1 --configurations baseline"
    original = TrainingModule.training_step

    def training_step(self: TrainingModule, *arguments: Any) -> Any:
        if self.recipe.seed == 1 and self.global_step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", training_step)
        assert run(line) == 130
    assert "interrupted; go on with: mpo-study ablation tiny.yaml" in capsys.readouterr().err
    first = Path("out/runs/baseline-s0/model.safetensors")
    finished = first.stat().st_mtime_ns
    assert not Path("out/runs/baseline-s1/model.safetensors").exists()
    assert run(line) == 0
    assert first.stat().st_mtime_ns == finished
    starts = json.loads(Path("out/runs/baseline-s1/environment.json").read_text())["starts"]
    assert [start["epochs_done"] for start in starts] == [0, 1]


def test_mpo_train_tunes_by_the_same_rule(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StudyOptions.__init__, "__defaults__", _two_slopes())
    words = "tiny.yaml --method fixed --tune --output mine --device cpu".split()
    assert train([*words, "--method", "mpo"]) == 2
    assert "but method is mpo: add --method fixed" in capsys.readouterr().err
    assert train(words) == 0
    told = capsys.readouterr().out
    tuning = json.loads(Path("mine-tuning/tuning.json").read_text())
    assert set(tuning["validation_accuracy"]) == {"2", "5"}
    recipe = read_recipe(Path("mine/recipe.yaml"))
    assert recipe.neuron.slope == tuning["chosen_slope_per_volt"]
    assert recipe.data.validation == 0.0
    assert f"tuned baseline: slope {recipe.neuron.slope:g} /V out of 2, 5" in told
    assert train(words) == 2
    assert "cannot start a run in 'mine': it holds a finished run" in capsys.readouterr().err


def _two_slopes() -> tuple[Any, ...]:
    """Defaults of StudyOptions with a small grid and one seed."""
    _, _, *rest = StudyOptions.__init__.__defaults__ or ()
    return ((2.0, 5.0), (7,), *rest)


@pytest.mark.slow
def test_parallel_runs_give_what_one_at_a_time_does() -> None:
    line = "ablation tiny.yaml --seeds 0,1 --configurations baseline"
    assert run(line) == 0
    before = Path("out/results.csv").read_bytes()
    assert main([*line.split(), "--device=cpu", "--output=two", "--jobs=2"]) == 0
    assert Path("two/results.csv").read_bytes() == before


def test_timesteps_from_end_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("timesteps tiny.yaml --seeds 3 --sweep 4,1") == 0
    assert "Timesteps of tiny" in capsys.readouterr().out
    found = {(row["configuration"], row["timesteps"]) for row in rows()}
    assert found == {(c, t) for c in ("adjusted", "unadjusted") for t in ("1", "4")}
    assert values("rate_error", timesteps="4") == [0.0, 0.0]
    assert values("gradient_degradation", timesteps="4") == [0.0, 0.0]
    assert all(0.0 <= share <= 1.0 for share in values("near_fire"))
    results = json.loads(Path("out/summary.json").read_text())["results"]
    assert [row["timesteps"] for row in results] == [1, 4, 1, 4]
    assert Path("out/figures/timesteps.png").stat().st_size > 1000


def test_robustness_from_end_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    line = "robustness tiny.yaml --seeds 0 --configurations full,baseline"
    assert run(f"{line} --gaussian 1e-6,0.5 --salt_and_pepper 1") == 0
    capsys.readouterr()
    assert values("accuracy_gaussian", level="1e-06") == values("accuracy")
    clean, noisy = values("accuracy"), values("accuracy_gaussian", level="0.5")
    ratios = [a / b for a, b in zip(noisy, clean, strict=True)]
    assert values("rr_gaussian", level="0.5") == pytest.approx(ratios)
    weights = {path: path.stat().st_mtime_ns for path in Path("out").rglob("model.safetensors")}
    assert run(f"{line} --gaussian 0.2 --salt_and_pepper 1") == 0
    assert {row["level"] for row in rows() if row["measure"] == "rr_gaussian"} == {"0.2"}
    assert {path: path.stat().st_mtime_ns for path in weights} == weights


def test_dynamics_of_configurations_with_other_layers(capsys: pytest.CaptureFixture[str]) -> None:
    configurations = "full,deep=--network.channels=[2,2]"
    line = ["dynamics", "tiny.yaml", "--seeds", "0", "--configurations", configurations]
    assert main([*line, "--device", "cpu", "--output", "out", "--epochs", "1"]) == 0
    found = json.loads(Path("out/summary.json").read_text())["results"]
    assert len(found["full"]["width"]) == 1 and len(found["deep"]["width"]) == 2


def test_dynamics_from_end_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dynamics tiny.yaml --seeds 0,1 --configurations full") == 0
    assert "Dynamics of tiny" in capsys.readouterr().out
    measures = {row["measure"] for row in rows()}
    assert {"test_accuracy", "sigma", "width", "coverage", "gradient_norm", "membrane_share"} < (
        measures
    )
    assert len(values("test_accuracy")) == 4
    shares = [
        float(row["value"])
        for row in rows()
        if row["measure"] == "membrane_share" and row["seed"] == "1" and row["epoch"] == "2"
    ]
    assert sum(shares) == pytest.approx(1.0, abs=1e-5)
    for name in ("training-curves", "membranes", "width-and-sigma", "gradient-norms", "coverage"):
        assert Path(f"out/figures/{name}.svg").stat().st_size > 1000
