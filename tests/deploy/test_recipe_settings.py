"""Settings of a recipe inside a chip: the nearest leak, and none where there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpo_snn.deploy.recipe_settings import settings_inside
from mpo_snn.profiles.chip import load_chip_profile
from mpo_snn.training.recipe_file import flat_values, load_recipe

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
