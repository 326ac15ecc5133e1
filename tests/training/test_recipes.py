"""The shipped recipes: each starts from its data, or says where to get it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mpo_snn.data import load_dataset
from mpo_snn.data.events import SENSORS
from mpo_snn.data.known import KNOWN
from mpo_snn.errors import DataError
from mpo_snn.networks import build_network
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


@pytest.mark.parametrize("name", [name for name in recipe_titles() if name != "digits"])
def test_without_data_one_line_says_where_to_get_it(name: str) -> None:
    recipe = load_recipe(name)
    with pytest.raises(DataError, match=r"get it from \S+ .*--data\.path FILE_OR_FOLDER") as caught:
        load_dataset(recipe.data, recipe.timesteps)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", recipe_titles())
def test_the_network_suits_the_samples(name: str) -> None:
    recipe = load_recipe(name)
    shape, classes = sample_shape(recipe)
    small = replace(recipe.network, channel_scale=0.05)
    network = build_network(small, recipe.neuron, shape, classes).eval()
    with torch.no_grad():
        assert Unrolled(network, 1)(torch.zeros(1, 1, *shape)).shape == (1, 1, classes)
