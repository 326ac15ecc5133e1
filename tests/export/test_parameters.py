"""Parameters that differ are told in digits that differ."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mpo_snn.export.parameters import told_apart, values_beyond

NUMBERS = st.floats(-1e300, 1e300)


@given(NUMBERS, st.integers(1, 10**6))
def test_two_numbers_are_never_told_in_the_same_digits(one: float, steps: int) -> None:
    other = one
    for _ in range(min(steps, 50)):
        other = math.nextafter(other, -math.inf if one > 0 else math.inf)
    texts = told_apart(one, other)
    assert texts[0] != texts[1]
    assert math.isclose(float(texts[0]), one, rel_tol=1e-8, abs_tol=1e-300)


def test_short_where_short_tells() -> None:
    assert told_apart(0.5, 0.25) == ("0.5", "0.25")


def test_a_time_constant_that_differs_in_its_tenth_digit() -> None:
    tau = np.array([1.1e-4, 1e-3])
    line = values_beyond(tau, tau + np.array([2e-14, 0.0]), 1e-14)
    found, expected = line.split("first [0]: ")[1].removesuffix(".").split(", expected ")
    assert found != expected and float(expected) == 1.1e-4 and float(found) > float(expected)
