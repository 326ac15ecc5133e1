"""The surrogate against the derivative, area and standard deviation that it claims."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import integrate
from torch import Tensor

from mpo_snn.errors import RecipeError
from mpo_snn.surrogate import (
    Spike,
    coverage,
    half_support,
    sigmoid_derivative,
    slope_of_width,
)

SLOPES = (0.3, 1.0, 4.0, 25.0)


def s(x: float, k: float) -> float:
    return float(sigmoid_derivative(torch.tensor(x, dtype=torch.float64), k))


@pytest.mark.parametrize("k", SLOPES)
def test_it_is_the_numerical_derivative_of_the_logistic_function(k: float) -> None:
    x = torch.linspace(-8 / k, 8 / k, 41, dtype=torch.float64)
    step = 1e-5 / k
    numerical = (torch.sigmoid(k * (x + step)) - torch.sigmoid(k * (x - step))) / (2 * step)
    torch.testing.assert_close(sigmoid_derivative(x, k), numerical, rtol=1e-7, atol=1e-9 * k)


@pytest.mark.parametrize("k", SLOPES)
def test_area_is_1_and_peak_is_a_quarter_of_the_slope(k: float) -> None:
    area, _ = integrate.quad(s, -60 / k, 60 / k, args=(k,), points=[0.0])
    assert area == pytest.approx(1.0, abs=1e-9)
    assert s(0.0, k) == pytest.approx(k / 4)


@pytest.mark.parametrize("width", (0.05, 0.5, 1.0, 3.0))
def test_matched_form_has_the_width_as_standard_deviation(width: float) -> None:
    k = float(slope_of_width(torch.tensor(width, dtype=torch.float64), "matched"))
    variance, _ = integrate.quad(
        lambda x: x * x * s(x, k), -40 * width, 40 * width, points=[0.0], limit=200
    )
    assert math.sqrt(variance) == pytest.approx(width, rel=1e-7)


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
