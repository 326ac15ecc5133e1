"""A run inside what chips can do, its graph, and the commands that run it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mpo_snn.cli.evaluate import main as evaluate
from mpo_snn.cli.export import main as export
from mpo_snn.cli.verify import main as verify
from mpo_snn.export.nir_export import DEFAULT_DT
from mpo_snn.export.nir_file import write_nir
from mpo_snn.export.proof import export_run_for_chip, metadata_of
from mpo_snn.graph.metadata import read_metadata, write_metadata
from mpo_snn.graph.read import read_graph
from mpo_snn.training.fit import fit
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.recipe_file import load_recipe
from mpo_snn.training.rundir import Run

SAMPLES = 40


@pytest.fixture(scope="module", params=["digits-xylo", "digits-speck"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of one short epoch, with its graph in `chip.nir`."""
    recipe: Recipe = load_recipe(request.param)
    small = replace(
        recipe,
        epochs=1,
        data=replace(recipe.data, train_limit=300),
        network=replace(recipe.network, channels=(4, 4), hidden=(16, 16)),
    )
    run = fit(small, tmp_path_factory.mktemp("chip") / "run", device="cpu")
    made = export_run_for_chip(run)
    write_metadata(made.graph, metadata_of(run, made, DEFAULT_DT, "1.0.8"))
    write_nir(run.path / "chip.nir", made.graph)
    return run


def test_the_graph_is_proven_and_evaluated(trained: Run, tmp_path: Path) -> None:
    graph = trained.path / "chip.nir"
    assert verify([str(trained.path), str(graph), "--samples", str(SAMPLES)]) == 0
    record = tmp_path / "report"
    assert evaluate([str(graph), "--output", str(record)]) == 0
    report = json.loads((record / "report.json").read_text())
    right = round(trained.test_accuracy * report["summary"]["samples"])
    assert report["summary"]["correct"] == right


def test_a_file_that_says_something_else_of_its_neurons_is_told(
    trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = read_graph(trained.path / "chip.nir")
    metadata = read_metadata(graph)
    assert metadata is not None and metadata.neurons is not None
    neurons = {**metadata.neurons, "output_neuron": {**metadata.neurons["output_neuron"]}}
    neurons["output_neuron"]["most_spikes"] = 7
    write_metadata(graph, replace(metadata, neurons=neurons))
    write_nir(tmp_path / "other.nir", graph)
    given = [str(trained.path), str(tmp_path / "other.nir"), "--samples", "10"]
    assert verify(given) == 1
    assert "neurons of 'output_neuron' are" in capsys.readouterr().out


def test_plain_files_are_refused_with_the_way_out(
    trained: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for form in ("nir", "onnx"):
        assert export([str(trained.path), "--format", form]) == 2
        assert "mpo-deploy RUN --target NAME" in capsys.readouterr().err
