from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from mpo_snn.cli.train import main
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.recipe_file import read_recipe

TINY = """\
# A second of training.
epochs: 2
timesteps: 2
data: {name: digits}
network: {name: convnet, channels: [2], dropout: 0.1}
optimizer: {lr: 1e-2, batch_size: 480}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own with a recipe in it, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.yaml").write_text(TINY)
    run = folder / "run"
    assert main([str(folder / "tiny.yaml"), "--output", str(run), "--quiet", "--device=cpu"]) == 0
    return run


@pytest.fixture
def run(trained: Path, folder: Path) -> Path:
    """A copy of a finished run, named `run`."""
    shutil.copytree(trained, folder / "run")
    return Path("run")


def refused(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The error of a command line that is refused with nothing written."""
    before = sorted(Path.cwd().rglob("*"))
    capsys.readouterr()
    assert main(line.split()) == 2
    output = capsys.readouterr()
    assert sorted(Path.cwd().rglob("*")) == before
    assert output.out == ""
    assert output.err.startswith("mpo-train: error: ")
    assert output.err.count("\n") == 1
    return output.err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "no recipe is given"),
        ("digit", "unknown recipe 'digit': did you mean digits?"),
        ("nothing", "unknown recipe 'nothing': shipped are cifar10-convnet"),
        ("absent.yaml", "cannot read recipe 'absent.yaml': No such file"),
        ("digits more", "unknown argument 'more'"),
        ("digits --neuron.bta 1", "unknown option --neuron.bta: did you mean --neuron.beta?"),
        ("digits --epochs many", "epochs is 'many', allowed is a whole number."),
        ("digits --timesteps 0", "timesteps is 0, allowed is 1 or more."),
        ("--timesteps 0 digits", "timesteps is 0, allowed is 1 or more."),
        ("digits --neuron.beta 1.5", "neuron.beta is 1.5, allowed is 0 to 1."),
        ("digits --neuron.threshold 0", "neuron.threshold is 0, allowed is above 0."),
        ("digits --neuron.threshold=-1", "neuron.threshold is -1, allowed is above 0."),
        ("digits --neuron.reset half", "neuron.reset is 'half', allowed is zero, subtract, none."),
        ("digits --data.name mnis", "data.name is 'mnis', allowed is digits, mnist,"),
        ("digits --network.name vgg", "network.name is 'vgg', allowed is mlp, convnet, vgg11, "),
        ("digits --device tpu", "device is 'tpu', allowed is auto, cpu, cuda."),
        ("digits --output tiny.yaml", "is a file"),
        (
            "digits --output tiny.yaml/below/run",
            "cannot create the folder 'tiny.yaml/below/run': Not a directory.",
        ),
        ("--resume absent", "there is no such directory"),
        ("--resume .", "it is not a run directory"),
        ("--resume tiny.yaml", "it is a file"),
    ],
)
def test_wrong_input_is_one_line_and_writes_nothing(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(line, capsys)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: [1\n", "line 2, column 1"),
        (TINY + "epoch: 3\n", "unknown key epoch: did you mean epochs?"),
        (TINY.replace("digits", "mnis"), "data.name is 'mnis', allowed is digits, mnist,"),
        (TINY.replace("convnet", "vgg"), "network.name is 'vgg', allowed is mlp, convnet, vgg11, "),
        (TINY.replace("epochs: 2", ""), "epochs is missing."),
    ],
)
def test_wrong_recipe_file(
    text: str, message: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "mine.yaml").write_text(text)
    error = refused("mine.yaml", capsys)
    assert message in error
    assert "mine.yaml" in error


def test_several_findings_are_told_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("digits --timesteps 0 --neuron.beta 2 --optimizer.lr 0".split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("mpo-train: error: cannot use these settings: 3 findings\n")
    assert error.count("\n  - ") == 3


def test_list_and_print_config(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert main(["--list"]) == 0
    assert "\ndigits             Handwritten digits" in capsys.readouterr().out
    assert main("--epochs 3 tiny.yaml --print_config --network.channels [3,5]".split()) == 0
    shown = folder / "shown.yaml"
    shown.write_text(capsys.readouterr().out)
    recipe = read_recipe(shown)
    assert (recipe.name, recipe.epochs, recipe.timesteps) == ("tiny", 3, 2)
    assert recipe.network.channels == (3, 5)
    assert recipe.optimizer.lr == 0.01
    assert not (folder / "runs").exists()


def test_help_shows_keys_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: mpo-train RECIPE")
    for word in ("--neuron.beta", "--resume", "--output", "mpo-train digits"):
        assert word in text


def test_training_says_what_it_does_and_what_comes_next(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert main("--seed 3 tiny.yaml --device cpu --epochs 1".split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "recipe tiny: convnet on digits, 1 epochs, 2 timesteps, seed 3"
    assert lines[1] == "run directory runs/tiny-s3"
    assert lines[2].startswith("epoch 1/1  loss ")
    assert lines[3].startswith("test accuracy ")
    assert lines[4] == "next: mpo-export runs/tiny-s3 --format nir"
    assert len(lines) == 5
    assert read_recipe(folder / "runs" / "tiny-s3" / "recipe.yaml").seed == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--neuron.most_spikes 5", "next: mpo-deploy run --target CHIP; mpo-deploy --list shows"),
        ("--network.pooling max", "not for mpo-export: maxima have no form in NIR"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_has_no_form_in_nir_is_not_sent_to_export(
    words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"tiny.yaml --device cpu --epochs 1 --network.channels [2,2] --output run {words}"
    assert main(line.split()) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(told)


def test_training_says_what_a_method_sets(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert main("tiny.yaml --device cpu --epochs 1 --method klif --output run".split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "method klif sets neuron.model: klif"
    assert lines[-1].startswith("not for mpo-export: ")
    assert (folder / "run" / "recipe.yaml").read_text().startswith(f"# {lines[1]}\nname: tiny\n")


@pytest.mark.usefixtures("folder")
def test_an_accuracy_that_is_not_of_float32_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpo_snn.training.precision.has_bfloat16", lambda device: True)
    assert main("tiny.yaml --device cpu --epochs 1 --precision bfloat16".split()) == 0
    told = capsys.readouterr().out.splitlines()[-2]
    assert re.match(r"test accuracy \d+\.\d\d % in bfloat16, \d+\.\d s, run runs/tiny-s", told)


def test_resuming_a_finished_run_says_so_and_touches_nothing(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert main(["--resume", "run"]) == 0
    assert capsys.readouterr().out.startswith("the run run is finished, test accuracy ")
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_finished_output_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds a finished run; choose another" in refused("tiny.yaml --output run", capsys)
    (run / "model.safetensors").unlink()
    assert "go on with --resume run" in refused("tiny.yaml --output run", capsys)


def test_resume_takes_no_other_recipe(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "model.safetensors").unlink()
    assert "cannot change epochs, neuron.beta" in refused(
        "--resume run --epochs 9 --neuron.beta 0.1", capsys
    )
    assert "leave out recipe 'digits'" in refused("digits --resume run", capsys)
    assert "leave out output 'x'" in refused("--resume run --output x", capsys)


def test_damaged_checkpoint_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "model.safetensors").unlink()
    checkpoint = run / "checkpoints" / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-50])
    assert main("--resume run --quiet".split()) == 2
    error = capsys.readouterr().err
    assert "last.ckpt': it is damaged" in error
    assert error.count("\n") == 1
    assert not (run / "model.safetensors").exists()


def test_a_loss_that_is_no_number_is_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("tiny.yaml --optimizer.lr 1e30 --quiet --device cpu".split()) == 1
    error = capsys.readouterr().err
    assert error.startswith("mpo-train: error: training stopped in epoch 1, step 2: the loss is ")
    assert error.count("\n") == 1


def test_interrupt_says_how_to_go_on(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = TrainingModule.training_step

    def training_step(self: TrainingModule, *arguments: Any) -> Any:
        if self.global_step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", training_step)
        assert main("tiny.yaml --output stopped --device cpu --quiet".split()) == 130
    expected = "mpo-train: interrupted; go on with: mpo-train --resume stopped\n"
    assert capsys.readouterr().err == expected
    assert main("--resume stopped --device cpu --quiet".split()) == 0
    weights = Path("stopped", "model.safetensors").read_bytes()
    assert weights == (trained / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--method fixed --mpo.width_scale_end 0.3", ["mpo.width_scale_end is for method mpo"]),
        ("--method recdis --rival.dspike_step 0.2 --rival.recdis_margin 0.3",
         ["rival.dspike_step is for method dspike"]),
        ("--mpo.width_scale_end 0.3", []),
        ("--method fixed --neuron.slope 4", []),
    ],
)  # fmt: skip
def test_constants_of_another_method_are_told(line, told, capsys) -> None:
    assert main(["tiny.yaml", *line.split(), "--print_config"]) == 0
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == len(told)
    assert all(text in note for note, text in zip(notes, told, strict=True))
