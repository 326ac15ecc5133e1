"""Heights of layers (DAS, Eq. 22), gains of neurons (SFH, Algorithm 1 line 13), height norms."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mpo_snn.errors import MpoError
from mpo_snn.gradient_scale import (
    GAIN_RAILS,
    HEIGHT_RAILS,
    adjust_heights,
    expected_share,
    neuron_gain,
)
from mpo_snn.leaky import MPOLeaky
from mpo_snn.mpo import MPO
from mpo_snn.settings import MPOSettings
from mpo_snn.unroll import Unrolled

from .mpo_networks import TwoLayers, channels, normal, only, pass_through

STABILISED = MPOSettings(height="stabilised")


def test_expected_share_of_a_normal_distribution() -> None:
    one, two = expected_share(1.0), expected_share(2.0)
    assert one == pytest.approx(0.6827, abs=1e-4) and two == pytest.approx(0.9545, abs=1e-4)
    inside = normal(200_000).abs() <= 1.0
    assert float(inside.float().mean()) == pytest.approx(one, abs=5e-3)


def test_literal_step_by_hand() -> None:
    settings = MPOSettings(height="literal", height_rate=0.01)
    target = math.erf(1 / math.sqrt(2))
    found = adjust_heights(torch.tensor([1.0, 1.5]), torch.tensor([0.5, 0.8]), settings)
    expected = [
        1.0 * (1 + 0.01 * (0.5 - target) / target),
        1.5 * (1 + 0.01 * (0.8 - target) / target),
    ]
    assert found.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("rho", "rail"), ((1.0, 2.0), (0.0, 0.5), (0.3, 0.5)))
def test_literal_height_reaches_its_rail_within_some_150_steps(rho: float, rail: float) -> None:
    heights, steps = torch.ones(1), 0
    while float(heights) != rail and steps < 200:
        heights = adjust_heights(heights, torch.tensor([rho]), MPOSettings(height="literal"))
        steps += 1
    assert 60 < steps <= 155


def test_stabilised_leaves_the_dead_band_alone() -> None:
    heights = torch.tensor([0.8, 1.25])
    target = expected_share(1.0)
    rho = torch.tensor([target + 0.019, target - 0.019])
    assert torch.allclose(adjust_heights(heights, rho, STABILISED), heights)
    outside = adjust_heights(heights, rho + torch.tensor([0.002, 0.0]), STABILISED)
    assert float(outside[0]) > 0.8 and float(outside[1]) < 1.25


def test_stabilised_heights_keep_a_geometric_mean_of_1() -> None:
    """Equal deviations cancel; unequal ones separate the layers and stop at the rails."""
    heights = torch.ones(3)
    for _ in range(50):
        heights = adjust_heights(heights, torch.tensor([1.0, 1.0, 1.0]), STABILISED)
    assert torch.allclose(heights, torch.ones(3))
    for _ in range(50):
        heights = adjust_heights(heights, torch.tensor([0.9, 0.7, 0.5]), STABILISED)
        assert float(heights.log().mean()) == pytest.approx(0.0, abs=1e-5)
    assert heights[0] > heights[1] > heights[2]
    for _ in range(2000):
        heights = adjust_heights(heights, torch.tensor([0.9, 0.7, 0.5]), STABILISED)
    low, high = HEIGHT_RAILS
    assert float(heights.min()) == low and float(heights.max()) == high


@pytest.mark.parametrize("height", ("off", "literal", "stabilised"))
def test_step_moves_the_heights_of_the_layers(height: str) -> None:
    network = TwoLayers()
    mpo = MPO(network, only(height=height, height_dead_band=0.0))
    Unrolled(network, 3)(normal(3, 7, 6))
    mpo.step()
    stats = mpo.statistics()
    rho = torch.tensor([stats[name]["rho"] for name in ("lif1", "lif2")])
    settings = MPOSettings(height=height, height_dead_band=0.0)  # type: ignore[arg-type]
    expected = torch.ones(2) if height == "off" else adjust_heights(torch.ones(2), rho, settings)
    found = torch.stack([network.lif1.height, network.lif2.height])
    torch.testing.assert_close(found, expected)


def test_height_scales_the_gradient() -> None:
    neuron = MPOLeaky(0.5, 1.0, reset="none")
    x = normal(1, 4, 3).requires_grad_()
    (plain,) = torch.autograd.grad(neuron.scan(x)[0].sum(), x)
    neuron.height.fill_(1.5)
    (scaled,) = torch.autograd.grad(neuron.scan(x)[0].sum(), x)
    torch.testing.assert_close(scaled, 1.5 * plain)


def test_gain_of_neurons_by_hand() -> None:
    """Mean sigma 4/3: 4/3, 4/3, 2/3, over their mean 10/9."""
    found = neuron_gain(torch.tensor([1.0, 1.0, 2.0]))
    assert found.tolist() == pytest.approx([1.2, 1.2, 0.6], rel=1e-5)


def test_gain_is_clipped_and_then_has_mean_1() -> None:
    sigma = torch.tensor([0.0, 1e-3, 1.0, 100.0])
    clipped = torch.tensor([2.0, 2.0, 2.0, 0.5])
    assert GAIN_RAILS == (0.5, 2.0)
    torch.testing.assert_close(neuron_gain(sigma), clipped / clipped.mean())
    random = neuron_gain(normal(5, 7).exp())
    assert float(random.mean()) == pytest.approx(1.0)


def test_gain_of_still_neurons_is_1() -> None:
    assert neuron_gain(torch.zeros(4)).tolist() == [1.0] * 4


def test_step_averages_the_sigma_of_each_neuron() -> None:
    network = pass_through()
    mpo = MPO(network, only(neuron_gain=True))
    average: Tensor | None = None
    for step in range(3):
        x = normal(1, 20, 4, seed=step) * torch.tensor([1.0, 2.0, 3.0, 4.0])
        network[0].scan(x)
        mpo.step()
        sigma = x[0].std(0, correction=0)
        average = sigma if average is None else 0.9 * average + 0.1 * sigma
        torch.testing.assert_close(network[0].gain, neuron_gain(average))


def test_gain_scales_the_gradient_of_each_neuron() -> None:
    neuron = MPOLeaky(0.5, 1.0, reset="none")
    x = normal(1, 4, 3).requires_grad_()
    (plain,) = torch.autograd.grad(neuron.scan(x)[0].sum(), x)
    neuron.gain = torch.tensor([0.5, 1.0, 1.5])
    (scaled,) = torch.autograd.grad(neuron.scan(x)[0].sum(), x)
    torch.testing.assert_close(scaled, plain * neuron.gain)


@pytest.mark.parametrize("shape", ("sigmoid", "triangle", "arctan"))
def test_peak_norm_gives_a_surrogate_of_height_1_at_threshold(shape: Any) -> None:
    neuron = MPOLeaky(0.0, 1.0, reset="none", input_gain="unit", surrogate=shape, slope=3.0)
    network = nn.Sequential(neuron)
    MPO(network, only(height_norm="peak"))
    x = torch.full((1, 2, 3), 1.0, requires_grad=True)
    (grad,) = torch.autograd.grad(neuron.scan(x)[0].sum(), x)
    torch.testing.assert_close(grad, torch.ones(1, 2, 3))
    neuron.width = torch.tensor([0.2, 0.5, 1.0])
    (grad,) = torch.autograd.grad(neuron.scan(x)[0].sum(), x)
    torch.testing.assert_close(grad, torch.ones(1, 2, 3))


def test_rms_norm_gives_a_root_mean_square_of_1_from_the_second_step_on() -> None:
    network = pass_through(width=0.3)
    mpo = MPO(network, only(height_norm="rms"))
    x = channels().requires_grad_()
    network[0].scan(x)
    mpo.step()
    (grad,) = torch.autograd.grad(network[0].scan(x)[0].sum(), x)
    assert float(grad.square().mean().sqrt()) == pytest.approx(1.0, rel=1e-4)
    resumed = MPO(pass_through(width=0.3), only(height_norm="rms"))
    resumed.load_state_dict(mpo.state_dict())
    assert torch.equal(resumed.layers["0"].neuron.rms, network[0].rms)


def test_rms_norm_of_a_membrane_out_of_reach_keeps_the_old_one() -> None:
    network = pass_through(width=0.3, surrogate="triangle")
    mpo = MPO(network, only(height_norm="rms"))
    network[0].scan(torch.full((1, 2, 3), 50.0))
    mpo.step()
    assert float(network[0].rms) == 1.0


def test_phi_is_a_plug_in() -> None:
    network = pass_through()
    mpo = MPO(network, only(neuron_gain=True), phi=lambda sigma: 1.0 / (1.0 + sigma))
    x = normal(1, 20, 4)
    network[0].scan(x)
    mpo.step()
    torch.testing.assert_close(network[0].gain, 1.0 / (1.0 + x[0].std(0, correction=0)))


def test_a_phi_of_another_shape_is_refused() -> None:
    network = pass_through()
    mpo = MPO(network, only(neuron_gain=True), phi=lambda sigma: sigma.mean())
    network[0].scan(normal(1, 20, 4))
    with pytest.raises(MpoError, match=r"shape \(\) for neurons of shape \(4,\)"):
        mpo.step()
