from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.errors import RecipeError
from mpo_snn.settings import MPOSettings, NeuronSettings
from mpo_snn.training.recipe import OptimizerSettings, Recipe
from mpo_snn.training.recipe_file import (
    SHIPPED,
    load_recipe,
    read_recipe,
    recipe_text,
    recipe_titles,
)
from mpo_snn.training.recipe_values import recipe_from

LEAST: dict[str, Any] = {
    "name": "least",
    "epochs": 3,
    "data": {"name": "digits"},
    "network": {"name": "convnet"},
}


def test_what_is_left_out_has_its_default() -> None:
    recipe = recipe_from(LEAST)
    assert (recipe.seed, recipe.timesteps, recipe.encoding) == (0, 4, "direct")
    assert recipe.neuron == NeuronSettings()
    assert recipe.mpo == MPOSettings()
    assert recipe.optimizer == OptimizerSettings()


def test_values_come_back_as_the_same_recipe(tiny: Recipe) -> None:
    assert recipe_from(tiny.values()) == tiny


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"timesteps": 0}, "timesteps is 0, allowed is 1 or more."),
        ({"epochs": 0}, "epochs is 0, allowed is 1 or more."),
        ({"seed": -1}, "seed is -1, allowed is 0 or more."),
        ({"name": "../up"}, "name is '../up', allowed are letters"),
        ({"neuron": {"beta": 1.5}}, "neuron.beta is 1.5, allowed is 0 to 1."),
        ({"neuron": {"beta": math.nan}}, "neuron.beta is nan, allowed is 0 to 1."),
        ({"neuron": {"threshold": 0}}, "neuron.threshold is 0, allowed is above 0."),
        ({"mpo": {"lambda_dist": -1}}, "mpo.lambda_dist is -1, allowed is 0 or more."),
        ({"optimizer": {"lr": 0}}, "optimizer.lr is 0, allowed is above 0."),
        ({"optimizer": {"lr": math.inf}}, "optimizer.lr is inf, allowed is above 0."),
        ({"optimizer": {"lr": 1e31}}, "optimizer.lr is 1e\\+31, allowed is above 0 to 1e\\+30."),
        ({"threads": 1025}, "threads is 1025, allowed is 1 to 1024, or null."),
        ({"optimizer": {"momentum": 1}}, "optimizer.momentum is 1, allowed is 0 to below 1."),
        ({"optimizer": {"batch_size": 0}}, "optimizer.batch_size is 0, allowed is 1 or more."),
        ({"optimizer": {"weight_decay": -1}}, "optimizer.weight_decay is -1, allowed is 0 to"),
        ({"optimizer": {"warmup_epochs": 3}}, "optimizer.warmup_epochs is 3, allowed is less than"),
        ({"data": {"name": "mnis"}}, "data.name is 'mnis', allowed is digits, mnist,"),
        ({"network": {"name": "vgg"}}, "network.name is 'vgg', allowed is mlp, convnet, vgg11, "),
        ({"network": {"name": "convnet", "channels": []}}, r"network.channels is \[\], allowed is"),
        ({"network": {"name": "convnet", "dropout": 1}}, "network.dropout is 1, allowed is 0 to"),
        ({"network": {"name": "mlp", "hidden": [10**7]}}, "network.hidden is .*, allowed is up to"),
        ({"network": {"name": "mlp", "channel_scale": 1e9}}, "network.channel_scale is 1e\\+09"),
        ({"timesteps": "4"}, "timesteps is '4', allowed is a whole number."),
        ({"timesteps": True}, "timesteps is True, allowed is a whole number."),
        ({"timesteps": None}, "timesteps is null, allowed is a whole number."),
        ({"timesteps": 4.0}, "timesteps is 4.0, allowed is a whole number."),
        ({"name": 3}, "name is 3, allowed is text."),
        ({"neuron": 3}, "neuron is 3, allowed is a group of keys."),
        ({"neuron": {"learn_beta": "yes"}}, "neuron.learn_beta is 'yes', allowed is true or"),
        (
            {"neuron": {"backend": "gpu"}},
            "neuron.backend is 'gpu', allowed is numba, in_place, triton, reference",
        ),
        ({"method": "magic"}, "method is 'magic', allowed is mpo, fixed."),
        ({"network": {"name": "convnet", "channels": 3}}, "network.channels is 3, allowed is a li"),
        ({"network": {"name": "convnet", "channels": [3, "x"]}}, "network.channels is"),
        ({"epoch": 3}, "unknown key epoch: did you mean epochs?"),
        ({"neuron": {"bta": 0.3}}, "unknown key neuron.bta: did you mean neuron.beta?"),
        ({"zzz": 3}, "unknown key zzz, allowed are name, seed, epochs,"),
    ],
)
def test_a_wrong_value_is_named_on_one_line(change: dict[str, Any], finding: str) -> None:
    with pytest.raises(RecipeError, match=finding.replace("?", r"\?")) as caught:
        recipe_from({**LEAST, **change}, "recipe 'x'")
    assert str(caught.value).startswith("cannot use recipe 'x': ")
    assert "\n" not in str(caught.value)


def test_missing_keys_are_named() -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_from({"name": "x", "network": {}})
    assert caught.value.findings == ("epochs is missing.",)


def test_all_groups_are_checked_at_once() -> None:
    wrong = {
        **LEAST,
        "timesteps": 0,
        "neuron": {"beta": 1.5, "threshold": -1.0},
        "mpo": {"target_std": 0.0},
        "optimizer": {"lr": -1.0},
        "data": {"name": "nothing"},
    }
    with pytest.raises(RecipeError) as caught:
        recipe_from(wrong)
    keys = {finding.split(" is ")[0] for finding in caught.value.findings}
    assert keys == {
        "timesteps",
        "neuron.beta",
        "neuron.threshold",
        "mpo.target_std",
        "optimizer.lr",
        "data.name",
    }


finite = st.floats(min_value=1e-12, max_value=1e12)


@settings(deadline=None)
@given(
    lr=finite,
    threshold=finite,
    decay=st.floats(min_value=0, max_value=1e6),
    beta=st.floats(min_value=0, max_value=0.999),
    channels=st.lists(st.integers(1, 512), min_size=1, max_size=4),
    height=st.sampled_from(["off", "literal", "stabilised"]),
    backend=st.sampled_from([None, "reference"]),
    name=st.sampled_from(["1e3", "true", "null", "off", "0x1F", "2024-01-01", "a.b-c_d"]),
)
def test_text_gives_the_same_recipe_back(
    lr: float,
    threshold: float,
    decay: float,
    beta: float,
    channels: list[int],
    height: Any,
    backend: Any,
    name: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    least = recipe_from(LEAST)
    recipe = replace(
        least,
        name=name,
        neuron=NeuronSettings(beta=beta, threshold=threshold, backend=backend),
        mpo=MPOSettings(height=height),
        optimizer=OptimizerSettings(lr=lr, weight_decay=decay),
        network=replace(least.network, channels=tuple(channels)),
    )
    path = tmp_path_factory.mktemp("text") / "recipe.yaml"
    path.write_text(recipe_text(recipe))
    assert read_recipe(path) == recipe
    assert recipe_text(read_recipe(path)) == recipe_text(recipe)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_words_and_numbers_of_yaml(tmp_path: Path) -> None:
    path = write(
        tmp_path / "my-run.yaml",
        "epochs: 2\ndata: {name: digits}\nnetwork: {}\noptimizer: {lr: 1e-3}\nmpo: {height: off}\n",
    )
    recipe = read_recipe(path)
    assert recipe.name == "my-run"
    assert recipe.optimizer.lr == 0.001
    assert recipe.mpo.height == "off"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: [1", "line 1, column 11"),
        ("epochs: 1\nepochs: 2", "line 2, column 1: the key epochs is given twice"),
        ("neuron:\n  beta: 0.1\n  beta: 0.2", "line 3, column 3: the key beta is given twice"),
        ("epochs: !!python/object:os.system 1", "could not determine a constructor"),
        ("", "holds no keys"),
        ("- 1", "holds no keys"),
    ],
)
def test_a_file_that_is_no_recipe(text: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "bad.yaml", text)
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="not text in UTF-8"):
        load_recipe(str(path))


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(RecipeError, match=r"unknown recipe 'digit': did you mean digits\?"):
        load_recipe("digit")
    with pytest.raises(RecipeError, match=r"unknown recipe 'zzz': shipped are .*digits"):
        load_recipe("zzz")
    with pytest.raises(RecipeError, match=r"cannot read recipe 'absent\.yaml': No such file"):
        load_recipe("absent.yaml")


@pytest.mark.parametrize("name", recipe_titles())
def test_shipped_recipes_can_be_used_and_say_how(name: str) -> None:
    recipe = load_recipe(name)
    text = (SHIPPED / f"{name}.yaml").read_text()
    assert recipe.name == name
    assert text.startswith("# ")
    assert f"mpo-train {name}" in text
    assert recipe_titles()[name]


def test_every_field_is_documented() -> None:
    for kind in (Recipe, OptimizerSettings):
        assert kind.__doc__ is not None
        for field in fields(kind):
            assert f"        {field.name}: " in kind.__doc__


@pytest.mark.parametrize(
    "text",
    ["epochs: 2024-13-45\n", "epochs: " + "9" * 6000 + "\n", "epochs: " + "[" * 5000],
)
def test_yaml_that_makes_no_sense_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match="holds no sensible YAML") as told:
        read_recipe(path)
    assert "\n" not in str(told.value)


def test_one_wrong_value_is_one_finding() -> None:
    """What else the group says still counts when the others are held against it."""
    data = {"name": "nmnist", "validation": 2.5}
    with pytest.raises(RecipeError) as caught:
        recipe_from({**LEAST, "encoding": "frames", "data": data})
    assert len(caught.value.findings) == 1
