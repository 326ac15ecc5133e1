from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mpo_snn.errors import OutputError, RunError
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.recipe_file import recipe_text
from mpo_snn.training.rundir import Run, create_run, discard_run, open_run


@pytest.fixture
def copy(finished: Run, tmp_path: Path) -> Path:
    path = tmp_path / "copy"
    shutil.copytree(finished.path, path)
    return path


def test_a_new_run_holds_its_recipe(tiny: Recipe, tmp_path: Path) -> None:
    output = tmp_path / "deep" / "down" / "run"
    run = create_run(tiny, output)
    assert run == open_run(output, unfinished=True) == Run(output, tiny)
    assert not run.finished
    assert [path.name for path in output.iterdir()] == ["recipe.yaml"]
    discard_run(run)
    assert not output.exists()


@pytest.mark.parametrize("error", [OutputError("no space left"), KeyboardInterrupt()])
def test_what_ends_the_making_of_a_run_leaves_nothing(
    error: BaseException, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr("mpo_snn.training.rundir.write_file", refuse)
    with pytest.raises(type(error)):
        create_run(tiny, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_empty_directory_will_do(tiny: Recipe, tmp_path: Path) -> None:
    assert create_run(tiny, tmp_path).path == tmp_path


def test_default_names_count_up(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seeded = replace(tiny, seed=7)
    (tmp_path / "runs" / "tiny-s0-2").mkdir(parents=True)
    paths = [create_run(recipe, None).path for recipe in (tiny, tiny, seeded)]
    assert [str(path) for path in paths] == ["runs/tiny-s0", "runs/tiny-s0-3", "runs/tiny-s7"]


def test_an_output_that_holds_something_is_left_alone(
    copy: Path, tmp_path: Path, tiny: Recipe
) -> None:
    def refuse(output: Path) -> None:
        create_run(tiny, output)

    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("x")
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(RunError, match="holds a finished run; choose another --output"):
        refuse(copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(RunError, match="holds an unfinished run; go on with --resume"):
        refuse(copy)
    with pytest.raises(RunError, match="holds other files"):
        refuse(other)
    with pytest.raises(OutputError, match="is a file"):
        refuse(file)
    with pytest.raises(OutputError, match="cannot create the folder"):
        refuse(file / "below" / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "file", "other"]
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]


def test_open_a_finished_run(finished: Run, tiny: Recipe) -> None:
    run = open_run(str(finished.path))
    assert run == finished
    assert run.finished
    assert run.recipe == tiny
    assert run.epochs_done == tiny.epochs
    assert run.about.class_names == tuple("0123456789")


def test_a_network_opens_on_any_backend(copy: Path, tiny: Recipe) -> None:
    """That of the training may be of a GPU, or may not take float64."""
    on_gpu = replace(tiny, neuron=replace(tiny.neuron, backend="triton"))
    (copy / "recipe.yaml").write_text(recipe_text(on_gpu))
    network = open_run(copy).load_network().double()
    assert {neuron.backend for neuron in network.neurons.values()} == {None}
    assert network(torch.zeros(2, 1, 1, 8, 8, dtype=torch.float64)).isfinite().all()


def test_what_cannot_be_opened(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no such directory"):
        open_run(tmp_path / "absent")
    with pytest.raises(RunError, match="it is a file"):
        open_run(copy / "recipe.yaml")
    with pytest.raises(RunError, match="not a run directory"):
        open_run(tmp_path)
    (copy / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(RunError, match=r"model\.safetensors.*damaged"):
        open_run(copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(RunError, match=r"not finished.*mpo-train --resume"):
        open_run(copy)
    assert not open_run(copy, unfinished=True).finished
    (copy / "recipe.yaml").write_text("epochs: [")
    with pytest.raises(RunError, match=r"cannot open the run .*recipe\.yaml': line 1"):
        open_run(copy, unfinished=True)


def test_weights_of_another_network_are_refused(copy: Path, tiny: Recipe) -> None:
    other = replace(tiny, network=NetworkSettings("convnet", (4, 5)))
    (copy / "recipe.yaml").write_text(recipe_text(other))
    with pytest.raises(RunError, match=r"not those of the network in recipe\.yaml"):
        open_run(copy).load_network()


@pytest.mark.parametrize("content", ["", "epoch,test_accuracy\n", "epoch,test_accuracy\n1,x\n"])
def test_damaged_metrics_are_said(copy: Path, content: str) -> None:
    (copy / "metrics.csv").write_text(content)
    with pytest.raises(RunError, match=r"metrics\.csv': it is missing or damaged"):
        _ = open_run(copy).test_accuracy
    (copy / "metrics.csv").unlink()
    with pytest.raises(RunError, match="missing or damaged"):
        _ = open_run(copy).test_accuracy
