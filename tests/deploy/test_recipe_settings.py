"""Settings of a recipe inside a chip: the nearest leak, and none where there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpo_snn.deploy.recipe_settings import settings_along, settings_inside, sizes_inside
from mpo_snn.deploy.xylo_check import widest_layer
from mpo_snn.profiles.chip import load_chip_profile
from mpo_snn.training.recipe_file import flat_values, load_recipe

from .fixed_point_designs import design

FPGA = load_chip_profile("fpga")
GIVEN = dict(flat_values(load_recipe("digits").values()))


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.75, 1.0])
def test_leaks_that_a_shift_has_stay(beta: float) -> None:
    """Neurons without a leak are neurons without a shift."""
    assert settings_inside(FPGA, {**GIVEN, "neuron.beta": beta})["neuron.beta"] == beta


@given(beta=st.floats(0, 1))
def test_the_leak_of_a_shift_is_the_nearest(beta: float) -> None:
    found = settings_inside(FPGA, {**GIVEN, "neuron.beta": beta})["neuron.beta"]
    shifts = range(2 ** FPGA.value("format.leak_bits"))
    allowed = [1.0, *(1 - 2.0**-shift for shift in shifts)]
    assert abs(found - beta) == min(abs(one - beta) for one in allowed)


@pytest.mark.parametrize("chip", ["xylo-audio2", "xylo-audio3", "xylo-imu"])
def test_two_of_the_widest_layers_fit_and_no_wider_ones(chip: str) -> None:
    profile = load_chip_profile(chip)

    def fits(size: int) -> bool:
        taken = {
            "hidden": 2 * size,
            "fan_out": size,
            "recurrent_weights": size * (size + profile.value("limit.outputs")),
            "input_reach": size,
            "output_reach": size,
        }
        return all(amount <= profile.value(f"limit.{key}") for key, amount in taken.items())

    assert fits(widest_layer(profile))
    assert not fits(widest_layer(profile) + 1)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_offered_sizes_fit_after_the_scale_of_the_recipe(scale: float) -> None:
    profile = load_chip_profile("xylo-audio3")
    values = {**GIVEN, "network.channel_scale": scale}
    offered = sizes_inside(profile, values, settings_inside(profile, values))
    assert [round(size * scale) <= 128 for size in offered["network.hidden"].value] == [True, True]


def test_no_sizes_are_offered_where_the_network_stays() -> None:
    values = {**GIVEN, "network.name": "mlp"}
    profile = load_chip_profile("xylo-audio3")
    assert sizes_inside(profile, values, settings_inside(profile, values)) == {}


@pytest.mark.parametrize("name", ["digits-xylo", "digits-speck", "digits-loihi"])
def test_what_has_its_use_stays(name: str) -> None:
    chip = {"digits-xylo": "xylo-audio3", "digits-speck": "speck-2e", "digits-loihi": "loihi-1"}
    values = dict(flat_values(load_recipe(name).values()))
    inside = settings_inside(load_chip_profile(chip[name]), values)
    along = settings_along(values, inside)
    assert {key for key, one in along.items() if one.value != values[key]} == set()


@pytest.mark.parametrize("name", ["mlp", "convnet"])
def test_a_design_without_biases_is_trained_without(name: str) -> None:
    """One that says nothing, or has an adder, leaves them as they are."""
    values = {**GIVEN, "network.name": name}
    inside = settings_inside(design(bias=False), values)
    assert (inside["network.bias"], inside["network.normalise"]) == (False, False)
    for profile in (FPGA, design(bias=True)):
        assert not {"network.bias", "network.normalise"} & settings_inside(profile, values).keys()


def test_a_network_that_cannot_be_without_biases_is_left_to_the_check() -> None:
    values = {**GIVEN, "network.name": "vgg16"}
    assert "network.bias" not in settings_inside(design(bias=False), values)
