"""The histogram divergence against closed forms and a slow loop."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy.stats import norm

from mpo_snn.errors import ShapeError
from mpo_snn.histogram_kl import histogram_kl
from mpo_snn.moments import moments
from mpo_snn.mpo import kl_normal


def normal(count: int) -> torch.Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_two_bins_by_hand() -> None:
    """The edge is m; three of four values lie above it: 3/4 ln(3/2) + 1/4 ln(1/2)."""
    u = torch.tensor([[0.1, 5.0], [0.7, 1.0]])
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert histogram_kl(u, 0.5, 2.0, bins=2) == pytest.approx(expected)


def test_one_value_alone_is_the_surprise_of_its_bin() -> None:
    """All mass in the bin from 0.5 s to s around m."""
    mass = norm.cdf(1.0) - norm.cdf(0.5)
    assert histogram_kl(torch.full((9,), 3.0 + 0.75 * 2.0), 3.0, 2.0, bins=16) == pytest.approx(
        -math.log(mass)
    )


@pytest.mark.parametrize(("mean", "std"), ((0.0, 1.0), (0.4, 0.7)))
def test_against_a_loop_over_the_bins(mean: float, std: float) -> None:
    u, bins, total = normal(500) ** 3, 10, 0.0
    edges = [-math.inf, *(mean + std * (-4 + 0.8 * i) for i in range(1, bins)), math.inf]
    for low, high in itertools.pairwise(edges):
        p = sum(low < value <= high for value in u.tolist()) / 500
        q = norm.cdf(high, mean, std) - norm.cdf(low, mean, std)
        total += p * math.log(p / q) if p else 0.0
    assert histogram_kl(u, mean, std, bins) == pytest.approx(total, rel=1e-9)


def test_of_normal_values_it_is_the_closed_form() -> None:
    u = 0.3 + 0.8 * normal(200_000)
    assert histogram_kl(u) == pytest.approx(float(kl_normal(moments(u))), abs=2e-3)
    assert histogram_kl(u, 0.3, 0.8) < 1e-3


def test_it_sees_two_humps_that_mean_and_variance_do_not() -> None:
    u = torch.where(normal(10_000) > 0, 1.0, -1.0)
    u = (u - u.mean()) / u.std(correction=0)
    assert float(kl_normal(moments(u))) == pytest.approx(0.0, abs=1e-6)
    assert histogram_kl(u) > 1.0


@pytest.mark.parametrize(("u", "bins"), ((torch.zeros(0), 8), (torch.zeros(3), 1)))
def test_nothing_to_count_is_refused(u: torch.Tensor, bins: int) -> None:
    with pytest.raises(ShapeError, match="one value and two bins at least"):
        histogram_kl(u, bins=bins)
