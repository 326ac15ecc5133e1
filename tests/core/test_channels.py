"""Granularity `channel`: widths, losses and targets of each channel by itself."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from mpo_snn.errors import MpoError
from mpo_snn.leaky import MPOLeaky
from mpo_snn.mpo import MPO
from mpo_snn.networks.neuron import build_neuron
from mpo_snn.settings import MPOSettings, NeuronSettings

from .mpo_networks import TwoLayers, channels, only, pass_through


def test_widths_follow_the_sigma_of_their_channel() -> None:
    network = pass_through(width=2.0)
    mpo = MPO(network, only(adapt_width=True, granularity="channel", width_scale=0.5))
    expected = torch.full((3,), 2.0)
    for step in range(3):
        x = channels(step)
        network[0].scan(x)
        mpo.step()
        sigma = x[0].transpose(0, 1).flatten(1).std(1, correction=0)
        expected = 0.9 * expected + 0.1 * 0.5 * sigma
        torch.testing.assert_close(network[0].width, expected)
    assert mpo.statistics()["0"]["sigma"] > 0


def test_losses_per_channel_by_hand() -> None:
    network = pass_through(width=0.7)
    mpo = MPO(network, only(lambda_dist=0.01, lambda_width=0.1, granularity="channel"))
    x = channels() + 0.2
    network[0].scan(x)
    dist, width = [], []
    for u in x[0].transpose(0, 1).flatten(1):
        m, s = float(u.mean()), float(u.std(correction=0))
        dist.append((m * m + s * s - math.log(s * s) - 1) / 2)
        width.append(abs(0.7 - s))
    expected = 0.01 * sum(dist) / 3 + 0.1 * sum(width) / 3
    assert float(mpo.regularizer()) == pytest.approx(expected, rel=1e-5)


def test_widths_per_channel_shape_the_gradient_of_their_channel() -> None:
    x = channels().requires_grad_()
    wide = MPOLeaky(0.5, 1.0, width=torch.tensor([0.2, 0.5, 2.0]))
    (found,) = torch.autograd.grad(wide.scan(x)[0].sum(), x)
    for channel, width in enumerate((0.2, 0.5, 2.0)):
        one = MPOLeaky(0.5, 1.0, width=width)
        (expected,) = torch.autograd.grad(one.scan(x)[0].sum(), x)
        torch.testing.assert_close(found[:, :, channel], expected[:, :, channel])


def test_widths_per_channel_as_parameters() -> None:
    settings = only(
        adapt_width=True, width_update="gradient", granularity="channel", lambda_width=1.0
    )
    network = pass_through(width=torch.full((3,), 1.0))
    mpo = MPO(network, settings)
    network[0].scan(channels())
    mpo.regularizer().backward()
    found: Tensor = network[0].width
    assert isinstance(found, nn.Parameter) and found.grad is not None
    # sigma is 0.2, 1 and 3 or so: the first width is too wide, the last too narrow.
    assert found.grad[0] == pytest.approx(1 / 3) and found.grad[2] == pytest.approx(-1 / 3)
    built = build_neuron(NeuronSettings(), 5)
    MPO(nn.Sequential(built), settings)
    assert built.width.shape == (5,)


def test_parameters_per_channel_of_an_unknown_number_are_refused_by_name() -> None:
    settings = only(adapt_width=True, width_update="gradient", granularity="channel")
    with pytest.raises(MpoError, match=r"layer 'lif1'(.|\n)*layer 'lif2'.*width per channel"):
        MPO(TwoLayers(), settings)


@pytest.mark.parametrize("update", ("ema", "gradient"))
def test_widths_per_channel_survive_the_state_dict(update: str) -> None:
    settings = MPOSettings(granularity="channel", width_update=update)  # type: ignore[arg-type]

    def build() -> tuple[nn.Sequential, MPO]:
        network = nn.Sequential(build_neuron(NeuronSettings(), 3))
        return network, MPO(network, settings)

    network, mpo = build()
    network[0].scan(channels())
    mpo.step()
    for other in (build()[0], nn.Sequential(MPOLeaky(0.5))):
        other.load_state_dict(network.state_dict())
        assert torch.equal(other[0].width, network[0].width) and other[0].width.shape == (3,)


@pytest.mark.parametrize("granularity", ("layer", "channel"))
def test_target_mean_at_the_threshold(granularity: Any) -> None:
    threshold = torch.tensor([0.5, 1.0, 2.0])
    network = pass_through(threshold=threshold, learn_threshold=True)
    mpo = MPO(network, only(lambda_dist=1.0, target_mean="threshold", granularity=granularity))
    x = channels()
    network[0].scan(x)
    loss = mpo.regularizer()
    parts = x[0].transpose(0, 1).flatten(1) if granularity == "channel" else x.reshape(1, -1)
    means = threshold.tolist() if granularity == "channel" else [float(threshold.mean())]
    expected = [
        kl_divergence(Normal(u.mean(), u.std(correction=0)), Normal(mean, 1.0))
        for u, mean in zip(parts, means, strict=True)
    ]
    torch.testing.assert_close(loss.detach(), torch.stack(expected).mean())
    loss.backward()  # the threshold is a target here, not a thing to move
    assert network[0].threshold.grad is None or not network[0].threshold.grad.any()
