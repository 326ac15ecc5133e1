"""Statistics of membranes (Eq. 17-19): of scans, hand-written loops and micro-batches."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from mpo_snn.gradient_growth import gradient_growth
from mpo_snn.gradient_scale import neuron_gain
from mpo_snn.moments import moments
from mpo_snn.mpo import MPO
from mpo_snn.neurons import neurons_of, reset_hidden
from mpo_snn.objective import kl_normal
from mpo_snn.settings import MPOSettings
from mpo_snn.unroll import Unrolled

from .mpo_networks import TwoLayers, normal, only, pass_through


@pytest.mark.parametrize("statistic", ("mean", "final"))
def test_statistics_by_hand(statistic: str) -> None:
    x = normal(3, 30, 4) + 0.3
    network = pass_through(width=0.7)
    mpo = MPO(network, only(statistic=statistic, height_gamma=1.5))
    network[0].scan(x)
    mpo.step()
    u = x.mean(0) if statistic == "mean" else x[-1]
    mu, sigma = float(u.mean()), float(u.std(correction=0))
    half = 2 / (math.pi / (math.sqrt(3) * 0.7)) * math.acosh(math.sqrt(10))
    expected = {
        "mu": mu,
        "sigma": sigma,
        "width": 0.7,
        "height": 1.0,
        "rho": float(((u - mu).abs() <= 1.5 * sigma).float().mean()),
        "coverage": float(((x - 1.0).abs() < half).float().mean()),
        "density": float((x > 1.0).float().mean()),
        "rails": 0.0,
        "gradient_growth": gradient_growth(
            mu, sigma, 1.0, math.pi / (math.sqrt(3) * 0.7), "sigmoid"
        ),
    }
    assert mpo.statistics()["0"] == pytest.approx(expected, rel=1e-5)


def test_statistics_are_the_mean_over_steps_and_then_start_afresh() -> None:
    network = pass_through()
    mpo = MPO(network, only())
    for value in (1.0, 2.0):
        network[0].scan(torch.tensor([0.0, value]).reshape(1, 2, 1))
        mpo.step()
    assert mpo.statistics(clear=False)["0"]["mu"] == pytest.approx(0.75)
    assert mpo.statistics()["0"]["mu"] == pytest.approx(0.75)
    assert mpo.statistics() == {}


def test_share_of_steps_on_a_rail() -> None:
    network = pass_through()
    mpo = MPO(network, only(height="literal"))
    for height in (2.0, 1.0):
        network[0].height.fill_(height)
        network[0].scan(torch.tensor([0.0] * 9 + [1.0]).reshape(1, 10, 1))  # rho = 0.9
        mpo.step()
    assert mpo.statistics()["0"]["rails"] == 0.5


@pytest.mark.parametrize("hidden", (True, False))
@pytest.mark.parametrize("statistic", ("mean", "final"))
def test_a_hand_written_loop_gives_the_statistics_of_the_scan(statistic: str, hidden: bool) -> None:
    network, x = TwoLayers(), normal(5, 7, 6)
    looped = copy.deepcopy(network)
    mpos = [MPO(n, MPOSettings(statistic=statistic)) for n in (network, looped)]  # type: ignore[arg-type]
    for n in neurons_of(looped).values():
        n.init_hidden = hidden
    for _ in range(2):
        Unrolled(network, 5)(x)
        if hidden:
            reset_hidden(looped)
            for step in x:
                looped(step)
        else:
            mem1, mem2 = looped.lif1.init_leaky(), looped.lif2.init_leaky()
            for step in x:
                spk, mem1 = looped.lif1(looped.fc1(step), mem1)
                spk, mem2 = looped.lif2(looped.fc2(spk), mem2)
        losses = [mpo.regularizer() for mpo in mpos]
        torch.testing.assert_close(losses[0], losses[1])
        for mpo in mpos:
            mpo.step()
    expected, found = mpos[0].statistics(), mpos[1].statistics()
    for name in ("lif1", "lif2"):
        assert found[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-6)
        a, b = neurons_of(network)[name], neurons_of(looped)[name]
        torch.testing.assert_close(a.gain, b.gain)
        torch.testing.assert_close(a.width, b.width)


def membranes_of(network: TwoLayers, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """U of both layers, (batch, neurons), and the logits, with their graphs; MPO sees nothing."""
    for neuron in neurons_of(network).values():
        neuron.record = None
    spk1, v1 = network.lif1.scan(network.fc1(x))
    spk2, v2 = network.lif2.scan(network.fc2(spk1))
    return [v1.mean(0), v2.mean(0)], network.out(spk2).mean(0)


def test_micro_batches_are_the_batch_but_for_what_each_is_held_against() -> None:
    """The whole objective with its gradient, and what a step moves, by hand over two steps."""
    network, sizes = TwoLayers(), (4, 6, 2)
    parts: dict[str, Any] = {"lambda_dist": 0.3, "lambda_width": 0.1, "height": "stabilised"}
    settings = only(
        adapt_width=True, neuron_gain=True, height_rate=0.3, height_dead_band=0.02, **parts
    )
    unrolled, mpo = Unrolled(network, 3), MPO(network, settings)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.5)
    layers = list(neurons_of(network).values())
    star, sigmas = math.erf(settings.height_gamma / math.sqrt(2.0)), [torch.empty(0)] * 2
    shares = [size / sum(sizes) for size in sizes]
    for step in range(2):
        x, y = normal(3, sum(sizes), 6, seed=step), torch.arange(sum(sizes)) % 3
        whole = copy.deepcopy(network)
        us, logits = membranes_of(whole, x)
        expected = nn.functional.cross_entropy(logits, y)
        optimiser.zero_grad()
        for i, (own_x, own_y) in enumerate(zip(x.split(sizes, 1), y.split(sizes), strict=True)):
            task = nn.functional.cross_entropy(unrolled(own_x).mean(0), own_y)
            found = mpo.regularizer()
            own = [u.split(sizes)[i] for u in us]
            kls = [
                kl_divergence(Normal(u.mean(), u.std(correction=0)), Normal(0.0, 1.0)) for u in own
            ]
            gaps = [
                (n.width - u.std(correction=0)).abs().detach()
                for n, u in zip(layers, own, strict=True)
            ]
            by_hand = 0.3 * sum(kls) / 2 + 0.1 * sum(gaps) / 2
            torch.testing.assert_close(found, by_hand, rtol=1e-4, atol=1e-6)
            expected = expected + shares[i] * by_hand
            (shares[i] * (task + found)).backward()
        expected.backward()
        for a, b in zip(network.parameters(), whole.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-6)
        widths, heights = (
            [float(getattr(n, name)) for n in layers] for name in ("width", "height")
        )
        optimiser.step()
        mpo.step()
        rows = mpo.statistics()
        for i, (neuron, u) in enumerate(zip(layers, us, strict=True)):
            u = u.detach()
            inside = [
                float(
                    (p - p.mean())
                    .abs()
                    .le(settings.height_gamma * p.std(correction=0))
                    .float()
                    .mean()
                )
                for p in u.split(sizes)
            ]
            rho = sum(share * r for share, r in zip(shares, inside, strict=True))
            row = rows[f"lif{i + 1}"]
            assert row["mu"] == pytest.approx(float(u.mean()), rel=1e-4, abs=1e-6)
            assert row["sigma"] == pytest.approx(float(u.std(correction=0)), rel=1e-4)
            assert row["rho"] == pytest.approx(rho, abs=1e-6)
            deviation = rho - star if abs(rho - star) > 0.02 else 0.0
            heights[i] *= 1.0 + 0.3 * deviation / star
            kept = settings.width_momentum
            width = kept * widths[i] + (1.0 - kept) * float(u.std(correction=0))
            assert float(neuron.width) == pytest.approx(width, rel=1e-5)
            sigma = u.std(0, correction=0)
            sigmas[i] = torch.lerp(sigma, sigmas[i], settings.gain_momentum) if step else sigma
            torch.testing.assert_close(neuron.gain, neuron_gain(sigmas[i]), rtol=1e-4, atol=1e-5)
        heights = [h / math.sqrt(heights[0] * heights[1]) for h in heights]
        assert [float(n.height) for n in layers] == pytest.approx(heights, rel=1e-5)
        assert heights[0] != pytest.approx(1.0, rel=1e-3)


def test_a_reset_ends_the_sequence_of_a_hand_written_loop() -> None:
    """Two sequences of one shape, with nothing but a reset between them, are two samples."""
    network, x = pass_through(), normal(2, 3, 5, 2)
    mpo = MPO(network, only(lambda_dist=1.0))
    for sequence in x:
        reset_hidden(network)
        for step in sequence:
            network(step)
    torch.testing.assert_close(mpo.regularizer(), kl_normal(moments(x.mean(1))))


def test_forwards_without_a_regularizer_between_are_one_sample() -> None:
    network, x = pass_through(), normal(1, 10, 2)
    mpo = MPO(network, only(lambda_dist=1.0))
    for part in x.split(5, dim=1):
        network[0].scan(part)
    expected = kl_normal(moments(x[0]))
    torch.testing.assert_close(mpo.regularizer(), expected)
