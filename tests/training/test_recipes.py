"""The shipped recipes: each starts from its data, or says where to get it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from mpo_snn.data import load_dataset
from mpo_snn.data.events import SENSORS
from mpo_snn.data.known import KNOWN
from mpo_snn.encoding import encode, largest_input, shape_of_step
from mpo_snn.errors import DataError
from mpo_snn.export.nir_export import export_nir
from mpo_snn.networks import build_network
from mpo_snn.networks.neuron import build_neuron
from mpo_snn.training.recipe import Recipe
from mpo_snn.training.recipe_file import load_recipe, recipe_titles
from mpo_snn.unroll import Unrolled


def sample_shape(recipe: Recipe) -> tuple[tuple[int, ...], int]:
    """Shape of a sample and number of classes of a recipe's data."""
    name, size = recipe.data.name, recipe.data.size
    if name in SENSORS:
        channels, *pixels = SENSORS[name].shape
        return (channels, *([size, size] if size else pixels)), len(SENSORS[name].classes)
    if name in KNOWN:
        return KNOWN[name].shape, len(KNOWN[name].classes)
    return {"digits": ((1, 8, 8), 10), "imagenet": ((3, 224, 224), 1000)}[name]


OF_DIGITS = ("digits", "digits-xylo", "digits-speck", "digits-loihi")


@pytest.mark.parametrize("name", [name for name in recipe_titles() if name not in OF_DIGITS])
def test_without_data_one_line_says_where_to_get_it(name: str) -> None:
    recipe = load_recipe(name)
    with pytest.raises(DataError, match=r"get it from \S+ .*--data\.path FILE_OR_FOLDER") as caught:
        load_dataset(recipe.data, recipe.timesteps)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", recipe_titles())
def test_the_network_suits_the_samples(name: str) -> None:
    recipe = load_recipe(name)
    sample, classes = sample_shape(recipe)
    shape = shape_of_step(sample, recipe.encoding, recipe.timesteps)
    small = replace(recipe.network, channel_scale=0.05)
    network = build_network(
        small, recipe.neuron, shape, classes, recipe.output_neuron, largest_input(recipe.encoding)
    ).eval()
    with torch.no_grad():
        assert Unrolled(network, 1)(torch.zeros(1, 1, *shape)).shape == (1, 1, classes)


@pytest.mark.parametrize("name", [name for name in OF_DIGITS if name != "digits"])
def test_recipes_for_chips_stay_inside_what_chips_can_do(name: str) -> None:
    recipe = load_recipe(name)
    sample, classes = sample_shape(recipe)
    shape = shape_of_step(sample, recipe.encoding, recipe.timesteps)
    network = build_network(recipe.network, recipe.neuron, shape, classes, output_neuron=True)
    export = export_nir(network, shape, chip=True)
    assert export.behaviour.keys() == export.spiking.keys()
    events = encode(torch.rand(4, *sample), recipe.timesteps, recipe.encoding)
    assert torch.equal(events, events.round())
    kinds = {type(node).__name__ for node in export.graph.nodes.values()}
    neuron, beta = recipe.neuron, recipe.neuron.beta
    if name == "digits-xylo":
        assert kinds == {"Input", "Output", "Linear", "CubaLIF", "Flatten"}
        assert shape[0] <= 16 and float(events.max()) <= 15
        for leak in (neuron.alpha, beta):
            shift = -math.log2(1.0 - leak)
            assert shift == round(shift) and 1 <= shift <= 15
    elif name == "digits-speck":
        assert kinds == {"Input", "Output", "Conv2d", "IF", "SumPool2d", "Flatten", "Linear"}
        convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
        assert all(m.bias is None for m in convolutions)
        assert neuron.lower == -neuron.threshold
    else:
        assert "LIF" in kinds and neuron.reset == "zero" and neuron.fires_once
        assert (1.0 - beta) * 4096 == round((1.0 - beta) * 4096)
    assert build_neuron(neuron.of_output(), classes).reset_timing == "step"
