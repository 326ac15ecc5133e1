"""Recorded steps: a run that replays them ends with the bytes of one that does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mpo_snn.errors import RunError
from mpo_snn.kernels import in_place
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.settings import MPOSettings, NeuronSettings
from mpo_snn.training import precision
from mpo_snn.training.checkpoint import read_checkpoint
from mpo_snn.training.environment import launches_as_one
from mpo_snn.training.fit import fit, resume
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.recipe import OptimizerSettings, Recipe
from mpo_snn.training.rundir import CHECKPOINT, open_run, read_environment
from mpo_snn.training.step_graph import StepGraph, StepGraphs

from .replayed import Replay

PAPER = MPOSettings(
    width_follows="spread",
    width_scale_end=None,
    lambda_dist=0.01,
    height="stabilised",
    neuron_gain=True,
)


def files_of(recipe: Recipe, path: Path) -> dict[str, bytes]:
    run = fit(recipe, path, device="cpu")
    names = ("model.safetensors", "metrics.csv", "membrane.csv")
    return {name: (run.path / name).read_bytes() for name in names}


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU the kernel reads them as numbers, which no GPU would; and any CPU has bfloat16."""
    monkeypatch.setattr(in_place, "_is_number", lambda b: False)
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)


def watch(monkeypatch: pytest.MonkeyPatch, recorder: type[Replay]) -> None:
    """Have every run record its steps so."""

    def record(self: TrainingModule) -> None:
        self.record_steps(recorder(self))

    monkeypatch.setattr(TrainingModule, "on_fit_start", record)


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> type[Replay]:
    """From now on, runs replay their steps; the counts start at 0."""
    monkeypatch.setattr(Replay, "recorded", 0)
    monkeypatch.setattr(Replay, "replayed", 0)
    watch(monkeypatch, Replay)
    return Replay


CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "paper": {"mpo": PAPER},
    "rms, channels, gradient": {
        "mpo": MPOSettings(height_norm="rms", granularity="channel", width_update="gradient")
    },
    "the definition, learnt": {
        "neuron": NeuronSettings(
            backend="reference", reset="subtract", learn_beta=True, learn_threshold=True
        )
    },
    "synapses, spike count": {
        "neuron": NeuronSettings(model="synaptic", backend="in_place"),
        "readout": "spike_count",
    },
    "several spikes": {
        "neuron": NeuronSettings(most_spikes=3, lower=-1.0, reset="subtract"),
    },
    "tet, rate, steps": {
        "loss": "tet",
        "tet_lambda": 0.1,
        "encoding": "rate",
        "batchnorm": "per_step",
    },
    "counts": {"encoding": "counts"},
    "fixed": {"method": "fixed"},
    "klif": {"method": "klif"},
    "lsg": {"method": "lsg"},
    "dietsnn": {"method": "dietsnn"},
    "dspike": {"method": "dspike"},
    "recdis": {"method": "recdis"},
    "mlp": {"network": NetworkSettings("mlp", hidden=(16,))},
    "resnet": {
        "network": NetworkSettings("resnet18", channel_scale=1 / 32),
        "optimizer": OptimizerSettings("sgd", lr=0.05, batch_size=360),
        "epochs": 5,
    },
    "bfloat16": {"precision": "bfloat16"},
}


@pytest.mark.parametrize("name", CASES)
def test_a_replayed_run_is_the_same_run(
    name: str, tiny: Recipe, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Batches of two shapes, dropout, three epochs; what a recording cannot hold fails in it."""
    recipe = replace(tiny, epochs=3, mpo=MPOSettings(), neuron=NeuronSettings(backend="in_place"))
    recipe = replace(recipe, optimizer=OptimizerSettings(lr=5e-3, batch_size=200))
    recipe = replace(recipe, **CASES[name])
    expected = files_of(recipe, tmp_path / "plain")
    replay = request.getfixturevalue("replays")
    found = files_of(recipe, tmp_path / "replayed")
    # Of each epoch behind batchnorm's first nine steps, all but the first two of each shape: five
    # and three batches, or one and three, which are worth one recording.
    assert (replay.recorded, replay.replayed) == ((3, 3) if name == "resnet" else (4, 8))
    for file, content in expected.items():
        assert found[file] == content, file


def test_what_cannot_be_recorded_is_refused_in_a_line(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run keeps what it had before."""

    class Full(Replay):
        def __call__(self, run: Callable[[], None]) -> Callable[[], None]:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore")

    watch(monkeypatch, Full)
    neuron, optimizer = NeuronSettings(backend="in_place"), OptimizerSettings(batch_size=200)
    recipe = replace(tiny, epochs=3, cuda_graphs="auto", neuron=neuron, optimizer=optimizer)
    with pytest.raises(RunError, match=r"graph: CUDA out of memory\. Tried .*--cuda_graphs never"):
        fit(recipe, tmp_path / "run", device="cpu")
    assert read_checkpoint(tmp_path / "run" / CHECKPOINT)["epoch"] == 0
    monkeypatch.undo()
    written = (tmp_path / "run" / "recipe.yaml").read_text()
    as_told = written.replace("cuda_graphs: auto", "cuda_graphs: never")
    assert as_told != written
    (tmp_path / "run" / "recipe.yaml").write_text(as_told)
    assert resume(open_run(tmp_path / "run", unfinished=True), device="cpu").finished


def raising(error: BaseException) -> Callable[..., Any]:
    def record(run: Callable[[], None]) -> Callable[[], None]:
        raise error

    return record


def test_the_cause_of_a_failed_recording_is_told() -> None:
    """Torch closes the recording behind an error, which is an error in turn."""
    x, y, network = torch.zeros(1, 2, 3), torch.zeros(2), torch.nn.Linear(3, 1)
    hidden = RuntimeError("operation failed due to a previous error during capture")
    hidden.__context__ = RuntimeError("operation not permitted: .item()\nmore")
    for error, told in (
        (hidden, r"graph: operation not permitted: \.item\(\)\. Train"),
        (RuntimeError(""), r"graph: RuntimeError\. Train"),
    ):
        with pytest.raises(RunError, match=told):
            StepGraph(lambda x, y: (x.sum(), None), x, y, network, raising(error))
    hidden.__context__ = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        StepGraph(lambda x, y: (x.sum(), None), x, y, network, raising(hidden))


def test_shapes_that_come_by_turns_are_not_recorded() -> None:
    network = torch.nn.Linear(3, 1)
    graphs = StepGraphs(lambda x, y: (network(x).sum(), None), network, raising(AssertionError()))
    for _ in range(10):
        for size in (4, 5):
            assert graphs(torch.rand(2, size, 3), torch.zeros(size)) is None


def test_a_cpu_records_nothing(tiny: Recipe, tmp_path: Path) -> None:
    recipe = replace(tiny, epochs=1, cuda_graphs="auto")
    run = fit(recipe, tmp_path / "run", device="cpu")
    assert read_environment(run.path)["cuda_graphs"] is False
    assert launches_as_one(recipe, is_cuda=True, processes=1)
    assert not launches_as_one(recipe, is_cuda=True, processes=2)
    assert not launches_as_one(replace(recipe, cuda_graphs="never"), is_cuda=True, processes=1)
