"""Every rival trains with one flag, resumes to the byte, and opens again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from mpo_snn.data.settings import DataSettings
from mpo_snn.errors import ExportError, RecipeError
from mpo_snn.export.read_network import read_network
from mpo_snn.networks.settings import NetworkSettings
from mpo_snn.neurons import MPONeuron
from mpo_snn.rivals import Method
from mpo_snn.rivals.klif import KLIF
from mpo_snn.rivals.settings import RivalSettings
from mpo_snn.settings import MPOSettings, NeuronSettings
from mpo_snn.training.fit import fit, resume
from mpo_snn.training.module import TrainingModule
from mpo_snn.training.recipe import OptimizerSettings, Recipe
from mpo_snn.training.rundir import open_run

METHODS = [method for method in get_args(Method) if method != "mpo"]


def recipe(method: Any, **changes: Any) -> Recipe:
    """Two epochs of three steps on digits, with dropout."""
    return Recipe(
        name="tiny",
        epochs=2,
        timesteps=2,
        method=method,
        data=DataSettings("digits"),
        network=NetworkSettings("convnet", (4, 4), dropout=0.3, init="torch"),
        optimizer=OptimizerSettings(lr=2e-2, batch_size=480),
        rival=RivalSettings(dspike_weights=4),
        **changes,
    )


def trained(what: Recipe, path: Path, monkeypatch: pytest.MonkeyPatch) -> list[MPONeuron]:
    """Neurons of a run; one that is stopped in its second epoch and resumed has the same bytes."""
    whole = fit(what, path / "whole", device="cpu")
    original = TrainingModule.training_step

    def stop(self: TrainingModule, *arguments: Any) -> Any:
        if self.global_step == 4:
            raise SystemExit
        return original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", stop)
        with pytest.raises(KeyboardInterrupt):
            fit(what, path / "part", device="cpu")
    run = resume(open_run(path / "part", unfinished=True), device="cpu")
    for name in ("model.safetensors", "metrics.csv", "membrane.csv"):
        assert (run.path / name).read_bytes() == (whole.path / name).read_bytes()
    return list(open_run(whole.path).load_network().neurons.values())


@pytest.mark.parametrize(
    ("mpo", "neuron", "shape"),
    [
        ({"granularity": "channel", "height_norm": "peak"}, {}, (4,)),
        ({"granularity": "channel", "width_update": "gradient"}, {}, (4,)),
        ({"height_norm": "rms", "width_scale_end": 0.3}, {"surrogate": "triangle"}, ()),
        ({"target_mean": "threshold", "height": "literal"}, {"model": "klif"}, ()),
        ({"statistic": "final", "width_pull": True}, {"surrogate": "arctan"}, ()),
    ],
)
def test_variants_of_mpo_resume_to_the_byte(
    mpo: dict[str, Any],
    neuron: dict[str, Any],
    shape: tuple[int, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    what = recipe("mpo", mpo=MPOSettings(**mpo), neuron=NeuronSettings(**neuron))
    for layer in trained(what, tmp_path, monkeypatch):
        assert layer.width.shape == shape and bool((layer.width != 0.5).all())


@pytest.mark.parametrize("method", METHODS)
def test_it_trains_resumes_to_the_byte_and_opens_again(
    method: Method, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    neurons = trained(recipe(method), tmp_path, monkeypatch)
    moved = {
        name: all(float(getattr(n, name).detach()) != 0.5 for n in neurons)
        for name in ("beta", "threshold", "width")
    }
    assert moved == {
        "beta": method in ("dietsnn", "lsg"),
        "threshold": method == "dietsnn",
        "width": method in ("dietsnn", "lsg", "dspike"),
    }
    factors = [float(n.k.detach()) for n in neurons if isinstance(n, KLIF)]
    assert len(factors) == (len(neurons) if method == "klif" else 0) and 1.0 not in factors


def test_a_recipe_says_what_its_method_sets_itself() -> None:
    sets = {method: recipe(method).set_by_method for method in METHODS}
    learnt = {"neuron.learn_beta": True, "neuron.learn_threshold": True}
    assert sets == {
        "fixed": {},
        "recdis": {},
        "klif": {"neuron.model": "klif"},
        "lsg": {"neuron.learn_beta": True},
        "dspike": {"neuron.surrogate": "tanh", "neuron.slope": 3.0},
        "dietsnn": {**learnt, "neuron.surrogate": "triangle", "neuron.slope": 2.0},
    }
    said = recipe("dietsnn", neuron=NeuronSettings(learn_beta=True, surrogate="triangle"))
    assert list(said.set_by_method) == ["neuron.learn_threshold", "neuron.slope"]


def test_recdis_differs_from_fixed_by_its_loss_alone(tmp_path: Path) -> None:
    metrics = {}
    for name, weight in (("off", 0.0), ("on", 0.1)):
        rival = RivalSettings(recdis_lambda=weight)
        run = fit(replace(recipe("recdis"), rival=rival), tmp_path / name, device="cpu")
        metrics[name] = (run.path / "metrics.csv").read_text()
    fixed = fit(recipe("fixed"), tmp_path / "fixed", device="cpu")
    assert metrics["off"] == (fixed.path / "metrics.csv").read_text() != metrics["on"]


def test_export_refuses_klif_by_name_and_says_why() -> None:
    network = torch.nn.Sequential(KLIF(0.5, init_hidden=True))
    with pytest.raises(ExportError, match=r"layer '0' \(KLIF\).*rectifies.*another method"):
        read_network(network, (3,))


@pytest.mark.parametrize(
    ("method", "neuron", "message"),
    [
        ("dspike", {"surrogate": "arctan"}, "arctan with method dspike, which brings its own"),
        ("dietsnn", {"surrogate": "tanh"}, "tanh with method dietsnn"),
        ("klif", {"reset": "subtract", "reset_timing": "next"}, "next with method klif"),
        ("lsg", {"model": "synaptic"}, "synaptic with method lsg"),
    ],
)
def test_what_a_method_cannot_use_is_refused(
    method: Any, neuron: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(method, neuron=NeuronSettings(**neuron))
