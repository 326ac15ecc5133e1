"""The surrogate against the derivative, area and standard deviation that it claims."""

from __future__ import annotations

import itertools
import math
from typing import Any, get_args

import pytest
import snntorch.surrogate
import torch
from scipy import integrate
from torch import Tensor

from mpo_snn.errors import RecipeError
from mpo_snn.surrogate import (
    NORMAL_QUARTILE,
    Shape,
    Spike,
    coverage,
    half_support,
    sigmoid_derivative,
    slope_of_width,
    surrogate_derivative,
    width_of_slope,
)

SLOPES = (0.3, 1.0, 4.0, 25.0)
SHAPES: tuple[Shape, ...] = get_args(Shape)
WITH_STD: tuple[Shape, ...] = ("sigmoid", "piecewise_linear", "triangle")


def at(shape: Shape, x: float, k: float) -> float:
    slope = torch.tensor(k, dtype=torch.float64)
    return float(surrogate_derivative(torch.tensor(x, dtype=torch.float64), slope, shape))


def by_hand(shape: Shape, x: float, k: float) -> float:
    if shape == "sigmoid":
        return k * math.exp(-k * x) / (1 + math.exp(-k * x)) ** 2
    if shape == "arctan":  # Eq. 5 over pi
        return k / (1 + k**2 * x**2) / math.pi
    if shape == "piecewise_linear":  # Eq. 6 with gamma = 1 / k and lambda = 1 / (2 gamma)
        return k / 2 if abs(x) <= 1 / k else 0.0
    if shape == "triangle":
        return k * (1 - k * abs(x)) if abs(x) < 1 / k else 0.0
    return k / math.cosh(k * x) ** 2 / (2 * math.tanh(k / 2)) if abs(x) <= 0.5 else 0.0


@pytest.mark.parametrize("k", SLOPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_by_hand(shape: Shape, k: float) -> None:
    for x in (-3.0, -0.49, -0.51, -0.9 / k, -0.03, 0.0, 0.2, 0.6, 1.1 / k):
        assert at(shape, x, k) == pytest.approx(by_hand(shape, x, k), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("k", SLOPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_area_is_1(shape: Shape, k: float) -> None:
    kinks = sorted({-0.5, -1 / k, 0.0, 1 / k, 0.5})
    edges = [-2e4 / k, -50 / k, *kinks, 50 / k, 2e4 / k]
    pieces = itertools.pairwise(edges)
    area = sum(integrate.quad(lambda x: at(shape, x, k), a, b, limit=200)[0] for a, b in pieces)
    assert area == pytest.approx(1.0, abs=2e-4 if shape == "arctan" else 1e-9)


@pytest.mark.parametrize("width", (0.05, 0.5, 3.0))
@pytest.mark.parametrize("shape", WITH_STD)
def test_matched_width_is_the_standard_deviation(shape: Shape, width: float) -> None:
    k = float(slope_of_width(torch.tensor(width, dtype=torch.float64), "matched", shape))
    second, _ = integrate.quad(
        lambda x: 2 * x * x * at(shape, x, k), 0, 40 * width, points=[1 / k], limit=200
    )
    assert math.sqrt(second) == pytest.approx(width, rel=1e-7)


def test_matched_half_widths_are_those_that_are_written_down() -> None:
    w = torch.tensor(0.4, dtype=torch.float64)
    assert 1 / float(slope_of_width(w, "matched", "piecewise_linear")) == pytest.approx(
        math.sqrt(3) * 0.4
    )
    assert 1 / float(slope_of_width(w, "matched", "triangle")) == pytest.approx(math.sqrt(6) * 0.4)


def test_matched_arctan_has_the_quartiles_of_a_normal_density() -> None:
    """Half of the area of either lies within 0.6745 standard deviations."""
    w = 0.4
    k = float(slope_of_width(torch.tensor(w, dtype=torch.float64), "matched", "arctan"))
    half, _ = integrate.quad(
        lambda x: at("arctan", x, k), -NORMAL_QUARTILE * w, NORMAL_QUARTILE * w
    )
    assert half == pytest.approx(0.5)
    assert math.erf(NORMAL_QUARTILE / math.sqrt(2)) == pytest.approx(0.5)


def test_matched_tanh_is_the_logistic_of_its_width_where_it_is_not_cut_off() -> None:
    """Narrow enough, sech^2(kx) is the logistic density of slope 2 k, with its deviation."""
    w = 0.02
    k = float(slope_of_width(torch.tensor(w, dtype=torch.float64), "matched", "tanh"))
    for x in (0.0, 0.01, 0.05):
        assert at("tanh", x, k) == pytest.approx(by_hand("sigmoid", x, 2 * k), rel=1e-9)
    assert 2 * k == pytest.approx(math.pi / (math.sqrt(3) * w))


@pytest.mark.parametrize("form", ("paper", "scale", "matched"))
@pytest.mark.parametrize("shape", SHAPES)
def test_width_of_a_slope_gives_the_slope(shape: Shape, form: Any) -> None:
    slope = torch.tensor([0.3, 4.0])
    width = width_of_slope(slope, form, shape)
    torch.testing.assert_close(slope_of_width(width, form, shape), slope)


@pytest.mark.parametrize("k", SLOPES)
@pytest.mark.parametrize("share", (0.05, 0.1, 0.5))
@pytest.mark.parametrize("shape", SHAPES)
def test_support_ends_where_the_surrogate_falls_below_its_share(
    shape: Shape, share: float, k: float
) -> None:
    half = float(half_support(torch.tensor(k, dtype=torch.float64), share, shape))
    peak = at(shape, 0.0, k)
    assert at(shape, half * (1 - 1e-6), k) > share * peak
    assert at(shape, half * (1 + 1e-6), k) <= share * peak


def test_support_in_closed_form() -> None:
    k = torch.tensor(4.0)
    expected = {
        "sigmoid": (2 / 4) * math.acosh(math.sqrt(10)),
        "arctan": 3 / 4,
        "piecewise_linear": 1 / 4,
        "triangle": 0.9 / 4,
        "tanh": math.acosh(math.sqrt(10)) / 4,
    }
    assert {s: float(half_support(k, surrogate=s)) for s in SHAPES} == pytest.approx(expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_slopes_per_channel_are_slopes_one_by_one(shape: Shape) -> None:
    x = torch.linspace(-1, 1, 24).reshape(4, 3, 2)
    slopes = torch.tensor([0.5, 2.0, 9.0])
    found = surrogate_derivative(x, slopes.reshape(3, 1), shape)
    for channel, slope in enumerate(slopes):
        one = surrogate_derivative(x[:, channel], slope, shape)
        torch.testing.assert_close(found[:, channel], one)


OWN = {
    "atan": snntorch.surrogate.atan(alpha=3.0),
    "fast_sigmoid": snntorch.surrogate.fast_sigmoid(slope=5.0),
    "sigmoid": snntorch.surrogate.sigmoid(slope=4.0),
    "triangular": snntorch.surrogate.triangular(),
    "straight_through": snntorch.surrogate.straight_through_estimator(),
}


@pytest.mark.parametrize("name", OWN)
def test_a_function_of_snntorch_gives_its_own_gradient(name: str) -> None:
    x = torch.linspace(-1, 1, 11)
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(OWN[name](leaf), leaf, torch.ones(11))
    with torch.no_grad():
        found = surrogate_derivative(x, torch.tensor(1.0), OWN[name])
    torch.testing.assert_close(found, expected)
    assert not x.requires_grad


def test_our_shapes_are_snntorchs_where_it_has_them() -> None:
    x = torch.linspace(-1, 1, 11)
    k = torch.tensor(4.0)
    torch.testing.assert_close(
        surrogate_derivative(x, k, "sigmoid"), surrogate_derivative(x, k, OWN["sigmoid"])
    )
    atan = surrogate_derivative(x, k, OWN["atan"])  # alpha / 2 / (1 + (pi alpha x / 2)^2)
    ours = surrogate_derivative(x, torch.tensor(3.0 * math.pi / 2), "arctan")
    torch.testing.assert_close(ours, atan)


def test_support_and_coverage_of_a_function_are_refused() -> None:
    one = torch.tensor(1.0)
    for call in (
        lambda: half_support(one, surrogate=OWN["atan"]),
        lambda: coverage(torch.zeros(2), one, one, OWN["atan"]),
    ):
        with pytest.raises(RecipeError, match=r"spike_grad.*sigmoid, arctan, piecewise_linear"):
            call()


def test_an_unknown_shape_is_refused_with_the_list() -> None:
    with pytest.raises(RecipeError, match=r"'gauss'.*sigmoid, arctan.*tanh"):
        surrogate_derivative(torch.zeros(1), torch.tensor(1.0), "gauss")  # type: ignore[arg-type]


def s(x: float, k: float) -> float:
    return float(sigmoid_derivative(torch.tensor(x, dtype=torch.float64), k))


@pytest.mark.parametrize("k", SLOPES)
def test_it_is_the_numerical_derivative_of_the_logistic_function(k: float) -> None:
    x = torch.linspace(-8 / k, 8 / k, 41, dtype=torch.float64)
    step = 1e-5 / k
    numerical = (torch.sigmoid(k * (x + step)) - torch.sigmoid(k * (x - step))) / (2 * step)
    torch.testing.assert_close(sigmoid_derivative(x, k), numerical, rtol=1e-7, atol=1e-9 * k)


def test_the_other_forms_take_the_width_and_its_inverse_as_slope() -> None:
    width = torch.tensor([0.25, 2.0])
    assert slope_of_width(width, "paper").tolist() == [0.25, 2.0]
    assert slope_of_width(width, "scale").tolist() == [4.0, 0.5]
    forms = [float(slope_of_width(torch.tensor(1.0), form)) for form in ("paper", "scale")]
    assert forms == [1.0, 1.0]


def test_an_unknown_form_is_refused_with_the_list() -> None:
    with pytest.raises(RecipeError, match=r"'wide'.*paper, scale, matched"):
        slope_of_width(torch.tensor(1.0), "wide")  # type: ignore[arg-type]


@pytest.mark.parametrize("k", SLOPES)
@pytest.mark.parametrize("share", (0.01, 0.1, 0.5))
def test_half_support_against_bisection(k: float, share: float) -> None:
    low, high = 0.0, 100.0 / k
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if s(middle, k) > share * k / 4 else (low, middle)
    found = half_support(torch.tensor(k, dtype=torch.float64), share)
    assert float(found) == pytest.approx(low, rel=1e-9)


def test_eq_10_of_the_paper_falls_short_by_ln_4() -> None:
    k, eps = 2.0, 1e-7
    whole = 2 * float(half_support(torch.tensor(k, dtype=torch.float64), eps / (k / 4)))
    paper = (2 / k) * math.log(k / (4 * eps))
    assert whole - paper == pytest.approx((2 / k) * math.log(4), abs=1e-6)


def test_coverage_counts_the_share_inside_the_support() -> None:
    slope = torch.tensor(2.0)
    half = float(half_support(slope))
    inside, outside = 1.0 + 0.99 * half, 1.0 + 1.01 * half
    v = torch.tensor([inside, 2.0 - inside, outside, 2.0 - outside, 1.0])
    assert float(coverage(v, torch.tensor(1.0), slope)) == pytest.approx(3 / 5)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.bfloat16))
def test_far_from_threshold_nothing_overflows(dtype: torch.dtype) -> None:
    x = torch.tensor([-1e4, -100.0, 0.0, 100.0, 1e4], dtype=dtype)
    value = sigmoid_derivative(x, 1.0)
    assert torch.isfinite(value).all() and (value >= 0).all()
    torch.testing.assert_close(value, value.flip(0), rtol=0, atol=0)


def test_far_tail_keeps_its_digits_on_both_sides() -> None:
    for x in (-30.0, 30.0):
        value = float(sigmoid_derivative(torch.tensor(x), 1.0))
        assert value == pytest.approx(math.exp(-30.0), rel=1e-5)


def test_the_argument_is_not_changed() -> None:
    x = torch.tensor([-1.0, 2.0])
    sigmoid_derivative(x, 3.0)
    coverage(x, torch.tensor(1.0), torch.tensor(2.0))
    assert x.tolist() == [-1.0, 2.0]


def apply_spike(x: Tensor, slope: Tensor, scale: Tensor) -> Tensor:
    spk: Tensor = Spike.apply(x, slope, scale)
    return spk


def test_spike_is_strict_heaviside_forward_and_scaled_surrogate_backward() -> None:
    x = torch.tensor([-1.0, 0.0, 1e-30, 2.0], dtype=torch.float64, requires_grad=True)
    slope = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    scale = torch.tensor([1.0, 2.0, 0.5, 4.0], dtype=torch.float64)
    spk = apply_spike(x, slope, scale)
    assert spk.tolist() == [0.0, 0.0, 1.0, 1.0]
    cotangent = torch.tensor([1.0, -2.0, 3.0, 5.0], dtype=torch.float64)
    (grad,) = torch.autograd.grad(spk, x, cotangent, allow_unused=False)
    e = torch.exp(-3.0 * x.detach())
    torch.testing.assert_close(grad, cotangent * scale * 3.0 * e / (1 + e) ** 2)


def test_slope_and_scale_get_no_gradient() -> None:
    x = torch.ones(2, requires_grad=True)
    slope = torch.tensor(3.0, requires_grad=True)
    scale = torch.tensor(1.0, requires_grad=True)
    apply_spike(x, slope, scale).sum().backward()
    assert slope.grad is None and scale.grad is None
