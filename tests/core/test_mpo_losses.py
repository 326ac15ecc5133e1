"""L_Dist (Eq. 21) and L_width (Eq. 20) by hand, and the two ways in which a width follows."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from mpo_snn.moments import Moments, moments
from mpo_snn.mpo import MPO
from mpo_snn.objective import kl_normal
from mpo_snn.unroll import Unrolled

from .mpo_networks import TwoLayers, channels, normal, only, pass_through


@pytest.mark.parametrize(("mean", "std"), ((0.0, 1.0), (0.5, 0.3), (-1.0, 4.0)))
def test_l_dist_is_the_divergence_of_two_normal_distributions(mean: float, std: float) -> None:
    u = 0.7 + 0.4 * normal(50)
    found = kl_normal(moments(u), mean, std)
    expected = kl_divergence(Normal(u.mean(), u.std(correction=0)), Normal(mean, std))
    torch.testing.assert_close(found, expected)


def test_l_dist_by_the_papers_formula() -> None:
    layer = Moments(10.0, torch.tensor(0.3), torch.tensor(2.5))
    expected = (0.3**2 + 0.25 - math.log(0.25) - 1) / 2
    assert float(kl_normal(layer)) == pytest.approx(expected)


def test_l_dist_of_a_still_layer_is_finite_with_its_gradient() -> None:
    u = torch.full((4, 3), 0.2, requires_grad=True)
    loss = kl_normal(moments(u))
    loss.backward()
    assert torch.isfinite(loss.detach()) and u.grad is not None
    torch.testing.assert_close(u.grad, torch.full((4, 3), 0.2 / 12))


def test_joint_regularizer_by_hand() -> None:
    """U = (0, 2, 4, 6) in one layer, (1, 1, 3, 3) in the other: sigma sqrt(5) and 1."""
    network = nn.ModuleList([pass_through(width=0.5), pass_through(width=3.0)])
    mpo = MPO(network, only(lambda_dist=0.01, lambda_width=0.1, width_scale=0.5))
    for layer, values in zip(network, ([0.0, 2.0, 4.0, 6.0], [1.0, 1.0, 3.0, 3.0]), strict=True):
        layer[0].scan(torch.tensor(values).reshape(1, 4, 1))  # type: ignore[index]
    dist = [(m * m + s * s - math.log(s * s) - 1) / 2 for m, s in ((3, 5**0.5), (2, 1.0))]
    width = [abs(0.5 - 0.5 * 5**0.5), abs(3.0 - 0.5)]
    expected = 0.01 * sum(dist) / 2 + 0.1 * sum(width) / 2
    assert float(mpo.regularizer().detach()) == pytest.approx(expected)


def test_width_follows_sigma_as_an_average() -> None:
    network = pass_through(width=2.0)
    mpo = MPO(network, only(adapt_width=True, width_scale=0.5))
    expected = 2.0
    for step in range(3):
        x = normal(1, 20, 4, seed=step) * (step + 1)
        network[0].scan(x)
        mpo.step()
        expected = 0.9 * expected + 0.1 * 0.5 * float(x.std(correction=0))
        assert float(network[0].width) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("granularity", ("layer", "channel"))
def test_width_follows_spread_or_distance_from_the_threshold(granularity: Any) -> None:
    threshold = torch.tensor([0.5, 1.0, 2.0])
    network = pass_through(width=2.0, threshold=threshold)
    mpo = MPO(
        network,
        only(
            adapt_width=True,
            width_follows="reach",
            width_scale=0.5,
            width_momentum=0.0,
            lambda_width=1.0,
            granularity=granularity,
        ),
    )
    x = channels()
    network[0].scan(x)
    if granularity == "channel":
        u = x[0].transpose(0, 1).flatten(1)
        expected = 0.5 * torch.maximum(u.std(1, correction=0), (u.mean(1) - threshold).abs())
        assert 0 < int((u.std(1, correction=0) > (u.mean(1) - threshold).abs()).sum()) < 3
    else:
        expected = 0.5 * torch.maximum(x.std(correction=0), (x.mean() - threshold.mean()).abs())
    loss = mpo.regularizer()
    torch.testing.assert_close(loss, (2.0 - expected).abs().mean())
    mpo.step()
    torch.testing.assert_close(network[0].width, expected)


def test_a_silent_layer_stays_within_reach() -> None:
    """A membrane that rests far below the threshold: sigma would take the surrogate away."""
    widths = {}
    for follows in ("spread", "reach"):
        network = pass_through(width=1.0)
        mpo = MPO(network, only(adapt_width=True, width_follows=follows, width_momentum=0.0))
        network[0].scan(0.01 * normal(1, 20, 4) - 2.0)
        mpo.step()
        widths[follows] = float(network[0].width)
    assert widths["spread"] < 0.02
    assert widths["reach"] == pytest.approx(3.0, rel=0.01)  # threshold 1, mean -2


def test_width_off_is_frozen() -> None:
    network = pass_through(width=2.0)
    mpo = MPO(network, only())
    network[0].scan(normal(1, 20, 4))
    mpo.step()
    assert float(network[0].width) == 2.0


@pytest.mark.parametrize(("start", "sign"), ((9.0, 1.0), (0.01, -1.0)))
def test_width_by_the_optimiser_moves_by_the_sign_of_its_error(start: float, sign: float) -> None:
    network = nn.ModuleList([pass_through(width=start), pass_through(width=start)])
    mpo = MPO(network, only(adapt_width=True, width_update="gradient", lambda_width=0.1))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.02)
    for layer in network:
        layer[0].scan(normal(1, 20, 4))  # type: ignore[index]
    mpo.regularizer().backward()
    optimiser.step()
    mpo.step()
    for layer in network:
        expected = start - 0.02 * 0.1 * sign / 2  # the mean over two layers
        assert float(layer[0].width.detach()) == pytest.approx(expected)  # type: ignore[index]


@pytest.mark.parametrize("pull", (False, True))
@pytest.mark.parametrize("update", ("ema", "gradient"))
def test_l_width_reaches_the_network_only_with_width_pull(pull: bool, update: str) -> None:
    network = TwoLayers()
    settings = only(adapt_width=True, width_update=update, lambda_width=0.1, width_pull=pull)
    mpo = MPO(network, settings)
    Unrolled(network, 3)(normal(3, 7, 6))
    loss = mpo.regularizer()
    if loss.requires_grad:
        loss.backward()
    reached = network.fc1.weight.grad is not None and bool(network.fc1.weight.grad.any())
    assert reached == pull


def test_the_forward_gives_the_width_no_gradient() -> None:
    network = TwoLayers()
    MPO(network, only(adapt_width=True, width_update="gradient"))
    Unrolled(network, 3)(normal(3, 7, 6)).sum().backward()
    assert network.lif1.width.grad is None
    assert not network.lif1.slope.requires_grad, "so that no loss of a rival's does either"
