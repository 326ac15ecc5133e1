"""Training with the values of a chip: rounded in the passes, real in the steps, and it pays."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from mpo_snn import MPOLeaky, MPOSynaptic
from mpo_snn.cli.train import main as train
from mpo_snn.deploy.families import family_of
from mpo_snn.deploy.grid_training import GridWeights
from mpo_snn.deploy.layers import ChipGraph
from mpo_snn.deploy.read_layers import read_layers
from mpo_snn.errors import DeployError
from mpo_snn.export.nir_export import DEFAULT_DT, export_nir
from mpo_snn.profiles.chip import load_chip_profile
from mpo_snn.training.rundir import open_run
from mpo_snn.training.weights import read_weights

HIDDEN = {"init_hidden": True, "threshold": 0.7}


def network(chip: str) -> nn.Module:
    torch.manual_seed(0)
    if chip.startswith("xylo"):
        given = {"input_gain": "unit", "reset": "subtract", **HIDDEN}
        layers = [
            nn.Flatten(),
            nn.Linear(16, 12, bias=False),
            MPOSynaptic(0.5, 0.75, most_spikes=31, **given),
            nn.Linear(12, 3, bias=False),
            MPOSynaptic(0.5, 0.75, **given),
        ]
    elif chip.startswith("speck"):
        given = {"input_gain": "unit", "reset": "subtract", "lower": -0.7, **HIDDEN}
        layers = [
            nn.Conv2d(1, 4, 3, padding=1, bias=False),
            MPOLeaky(1.0, most_spikes=8, **given),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 3, bias=False),
            MPOLeaky(1.0, **given),
        ]
    else:
        norm = nn.BatchNorm2d(4)
        norm.running_var.uniform_(0.1, 2.0)
        norm.running_mean.normal_()
        layers = [
            nn.Conv2d(1, 4, 3, padding=1, bias=False),
            norm,
            MPOLeaky(0.5, **HIDDEN),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 3),
            MPOLeaky(0.5, **HIDDEN),
        ]
    return nn.Sequential(*layers).eval()


def layers_of(module: nn.Module) -> ChipGraph:
    export = export_nir(module, (1, 4, 4), DEFAULT_DT, chip=True)
    read = read_layers(export.graph, DEFAULT_DT, 6, "counts", behaviour=export.behaviour)
    assert read.graph is not None, read.findings
    return read.graph


CHIPS = ("xylo-audio3", "speck-2e", "loihi-1", "fpga")


@pytest.mark.parametrize("chip", CHIPS)
def test_rounded_weights_are_those_of_the_quantizer_once_folded(chip: str) -> None:
    module, profile = network(chip), load_chip_profile(chip)
    before = copy.deepcopy(module.state_dict())
    grid = GridWeights(module, profile, lambda: layers_of(module))
    quantize = family_of(profile).quantize
    assert quantize is not None
    integers = quantize(layers_of(module), profile, None)
    assert all(error.weight_error > 1e-4 for error in integers.errors)
    wanted = [w for layer in integers.on_grid().values() for w in layer.weights]
    grid.swap_in()
    found = [p.weight for layer in layers_of(module) for p in layer.projections]
    grid.restore()
    for ours, chip in zip(found, wanted, strict=True):
        assert torch.allclose(
            ours.double(), chip.double(), rtol=1e-5, atol=1e-7
        )  # float32 of the network
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_step_moves_the_real_weights_by_the_gradient_at_the_rounded() -> None:
    """Straight through: one step of SGD, against the same by hand."""
    module, profile = network("loihi-1"), load_chip_profile("loihi-1")
    grid = GridWeights(module, profile, lambda: layers_of(module))
    weight = module[5].weight
    real = weight.detach().clone()
    x = torch.rand(8, 1, 4, 4)
    grid.swap_in()
    rounded = weight.detach().clone()
    module(x).sum().backward()
    gradient = weight.grad.clone()
    grid.restore()
    torch.optim.SGD(module.parameters(), 0.1).step()
    assert not torch.equal(real, rounded)
    assert torch.allclose(weight.detach(), real - 0.1 * gradient, rtol=0, atol=1e-7)


def test_a_form_that_the_chip_does_not_hold_is_refused() -> None:
    given = {"input_gain": "unit", "reset": "subtract", **HIDDEN}
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False),
        MPOSynaptic(0.5, 0.75, most_spikes=31, **given),
        nn.Flatten(),
        nn.Linear(64, 3, bias=False),
        MPOSynaptic(0.5, 0.75, **given),
    ).eval()
    grid = GridWeights(module, load_chip_profile("xylo-audio3"), lambda: layers_of(module))
    with pytest.raises(DeployError, match=r"'0' with rounded weights: the chip holds"):
        grid.swap_in()
    with pytest.raises(DeployError, match="no arithmetic of it"):
        GridWeights(module, load_chip_profile("spinnaker2"), lambda: layers_of(module))


def test_a_finished_run_goes_on_with_the_values_of_a_chip(tmp_path, capsys) -> None:
    first, quick = tmp_path / "run", ["--quiet", "--data.train_limit", "64"]
    options = ["--epochs", "1", "--network.channels", "[4,4]", *quick]
    assert train(["digits-loihi", "--target", "loihi-1", "--output", str(first), *options]) == 0
    assert train(["--resume", str(first), "--target", "loihi-1", *quick]) == 0
    assert "mpo-deploy" in capsys.readouterr().out
    second = open_run(tmp_path / "run-loihi-1")
    assert (second.target, second.started_from) == ("loihi-1", str(first))
    before, after = (read_weights(run / "model.safetensors")[0] for run in (first, second.path))
    start = read_weights(second.path / "start.safetensors")[0]
    assert all(torch.equal(value, start[name]) for name, value in before.items())
    assert any(not torch.equal(value, after[name]) for name, value in before.items())


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A finished run with other settings than the tests ask for."""
    run = tmp_path_factory.mktemp("grid") / "run"
    quick = ["--quiet", "--epochs", "1", "--data.train_limit", "32", "--network.channels", "[4]"]
    assert train(["digits-loihi", "--output", str(run), *quick]) == 0
    return run


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--neuron.beta", "0.7"], "neuron.beta differs"),
        (["--network.channels", "[8]"], "network.channels differs"),
    ],
)
def test_other_networks_do_not_go_on(small, capsys, words, told) -> None:
    assert train(["--resume", str(small), "--target", "loihi-1", *words]) == 2
    assert told in capsys.readouterr().err
    assert not small.with_name("run-loihi-1").exists()
