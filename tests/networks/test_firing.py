"""Density of every layer at the start: neither silent nor saturated."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from mpo_snn.encoding import encode, largest_input
from mpo_snn.networks import build_network
from mpo_snn.networks.initialisation import STEPS, current_spread
from mpo_snn.networks.neuron import build_neuron
from mpo_snn.networks.resnet import ResidualBlock
from mpo_snn.networks.settings import NetworkSettings, Pooling
from mpo_snn.settings import NeuronSettings
from mpo_snn.unroll import Unrolled

from .cases import CASES, Case

BAND = (0.05, 0.35)
LEAKY = NeuronSettings(beta=0.9)
INTEGRATE = NeuronSettings(beta=1.0, input_gain="unit", threshold=1.0)
SYNAPTIC = NeuronSettings(model="synaptic", alpha=0.7)
SUBTRACT = NeuronSettings(reset="subtract", reset_timing="next", input_gain="unit")


def densities(
    network: nn.Module, x: Tensor, timesteps: int = 4, encoding: str = "direct"
) -> dict[str, float]:
    found: dict[str, float] = {}
    with torch.no_grad():
        Unrolled(network, timesteps)(
            encode(x, timesteps, encoding),
            observe=lambda name, spk, v: found.update({name: float(spk.mean())}),
        )
    return found


@pytest.mark.parametrize("input_", ["noise", "pictures"])
def test_every_layer_of_every_network_fires(case: Case, input_: str) -> None:
    found = densities(case.build(), getattr(case, input_)())
    outside = {k: v for k, v in found.items() if not BAND[0] < v < BAND[1]}
    assert not outside and len(found) >= 2


@pytest.mark.parametrize("neuron", [LEAKY, INTEGRATE, SUBTRACT, SYNAPTIC])
@pytest.mark.parametrize("name", ["convnet", "mlp", "vgg16", "resnet18"])
def test_other_neurons_fire_too(name: str, neuron: NeuronSettings) -> None:
    case = replace(CASES[name], batch=8)
    found = densities(case.build(neuron), case.pictures())
    assert min(found.values()) > 0.01 and max(found.values()) < BAND[1]


def test_long_memory_is_silent_without_the_initialisation() -> None:
    case = CASES["vgg16"]
    for init in ("torch", "tdbn"):
        found = densities(case.build(LEAKY, init=init), case.pictures())
        assert min(found.values()) < 0.005


def test_a_deep_perceptron_without_batchnorm_fires() -> None:
    case = CASES["mlp"]
    found = densities(case.build(hidden=(2048,) * 6, normalise=False), case.pictures())
    assert all(BAND[0] < v < BAND[1] for v in found.values())
    found = densities(
        case.build(hidden=(2048,) * 6, normalise=False, init="torch"), case.pictures()
    )
    assert list(found.values())[-1] == 0.0


SEVERAL = replace(INTEGRATE, reset="subtract", most_spikes=16, lower=-1.0)


def contrasts() -> Tensor:
    """Images of strokes, dark and light: without contrast, weights of the sum 0 have no input."""
    x = torch.rand(32, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    return nn.functional.interpolate((x > 0.7).float(), scale_factor=2)


@pytest.mark.parametrize("pooling", ["average", "sum"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_convnet_without_batchnorm_and_biases_fires(pooling: Pooling, seed: int) -> None:
    settings = NetworkSettings("convnet", normalise=False, bias=False, pooling=pooling)
    torch.manual_seed(seed)
    network = build_network(settings, SEVERAL, (1, 8, 8), 10, output_neuron=True)
    assert all(not name.endswith("bias") for name, _ in network.named_parameters())
    assert not [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    found = densities(network, contrasts(), 8, "counts")
    assert all(0.01 < v < 0.5 for v in found.values())
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            sums = layer.weight.flatten(1).sum(1)
            assert torch.allclose(sums, torch.zeros_like(sums), atol=1e-4)


def test_a_perceptron_that_is_shown_events_by_rows_fires() -> None:
    settings = NetworkSettings("mlp", hidden=(64, 64), normalise=False, bias=False)
    torch.manual_seed(0)
    network = build_network(settings, SEVERAL, (8,), 10, True, largest_input("rows"))
    found = densities(network, contrasts(), 12, "rows")
    assert all(0.005 < v < 0.5 for v in found.values())


@pytest.mark.parametrize("neuron", [NeuronSettings(), LEAKY, INTEGRATE, SYNAPTIC])
def test_a_current_of_that_spread_moves_the_membrane_by_the_threshold(
    neuron: NeuronSettings,
) -> None:
    torch.manual_seed(0)
    current = current_spread(neuron, "firing") * torch.randn(STEPS, 1, 100_000)
    _, v = build_neuron(replace(neuron, reset="none"), 1).scan(current)
    assert v[-1].std().item() == pytest.approx(neuron.threshold, rel=0.02)


def test_threshold_dependent_batchnorm_scales_currents_to_the_threshold() -> None:
    neuron = NeuronSettings(threshold=0.7, beta=0.8)
    network = CASES["resnet18"].build(neuron, init="tdbn")
    blocks = [m for m in network.modules() if isinstance(m, ResidualBlock)]
    for block in blocks:
        assert torch.all(block.bn1.weight == 0.7)
        for norm in block.summed():
            assert torch.allclose(norm.weight, torch.tensor(0.7 / math.sqrt(2)))
    assert [len(block.summed()) for block in blocks] == [1, 1, 2, 1, 2, 1, 2, 1]
    assert torch.all(network.stem[1].weight == 0.7)


def test_torch_leaves_the_weights_as_they_are() -> None:
    network = CASES["vgg11"].build(init="torch")
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert all(torch.all(norm.weight == 1.0) for norm in norms)
