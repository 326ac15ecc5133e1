"""The method's equations by hand, its three lines in anybody's loop, and its errors."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import pytest
import snntorch
import snntorch.surrogate
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from mpo_snn.errors import MpoError, RecipeError
from mpo_snn.gradient_scale import (
    GAIN_RAILS,
    HEIGHT_RAILS,
    adjust_heights,
    expected_share,
    neuron_gain,
)
from mpo_snn.leaky import MPOLeaky
from mpo_snn.moments import Moments, moments
from mpo_snn.mpo import MPO
from mpo_snn.networks.neuron import build_neuron
from mpo_snn.neurons import neurons_of, reset_hidden
from mpo_snn.objective import kl_normal
from mpo_snn.settings import MPOSettings, NeuronSettings
from mpo_snn.unroll import Unrolled
from mpo_snn.width_scale import width_scale_at

STABILISED = MPOSettings(height="stabilised")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def only(**parts: Any) -> MPOSettings:
    """Settings with every part of the method off but those named."""
    off: dict[str, Any] = {
        "adapt_width": False,
        "width_follows": "spread",
        "width_scale": 1.0,
        "width_scale_end": None,
        "height": "off",
        "neuron_gain": False,
        "lambda_dist": 0.0,
        "lambda_width": 0.0,
    }
    return MPOSettings(**{**off, **parts})


def pass_through(**kwargs: Any) -> nn.Sequential:
    """A network whose membrane is its input: no leak, no reset, no weights."""
    kwargs = {"threshold": 1.0, "reset": "none", "input_gain": "unit", "init_hidden": True} | kwargs
    return nn.Sequential(MPOLeaky(0.0, **kwargs))


class TwoLayers(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.fc1 = nn.Linear(6, 8)
        self.lif1 = MPOLeaky(0.8, 0.5, learn_beta=True, init_hidden=True)
        self.fc2 = nn.Linear(8, 5)
        self.lif2 = MPOLeaky(0.5, 0.3, init_hidden=True)
        self.out = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.lif2(self.fc2(self.lif1(self.fc1(x)))))  # type: ignore[no-any-return]


def train_a_little(network: TwoLayers, mpo: MPO, steps: int = 4) -> None:
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    run = Unrolled(network, 3)
    for step in range(steps):
        loss = run(normal(3, 7, 6, seed=step)).square().mean() + mpo.regularizer()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        mpo.step()


# L_Dist, Eq. 21


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


# L_width, Eq. 20, and the two ways in which a width follows


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


# DAS, Eq. 22


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


# SFH, Algorithm 1 line 13


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


# Statistics, Eq. 17-19


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


# Anybody's own loop: errors, copies, resuming


@pytest.mark.parametrize("call", ("regularizer", "step"))
def test_without_a_forward_before_it_is_an_error(call: str) -> None:
    mpo = MPO(TwoLayers())
    with pytest.raises(MpoError, match=rf"MPO.{call}\(\).*'lif1', 'lif2'.*forward") as told:
        getattr(mpo, call)()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("how", ("eval", "no_grad"))
def test_a_forward_in_eval_mode_or_without_gradients_does_not_count(how: str) -> None:
    network = TwoLayers().train(how != "eval")
    mpo = MPO(network)
    with torch.set_grad_enabled(how == "eval"):
        Unrolled(network, 3)(normal(3, 7, 6))
    with pytest.raises(MpoError, match="training mode, with gradients on"):
        mpo.regularizer()


def test_two_regularizers_of_one_forward_are_an_error_but_the_step_still_works() -> None:
    network = TwoLayers()
    mpo = MPO(network)
    Unrolled(network, 3)(normal(3, 7, 6))
    mpo.regularizer()
    with pytest.raises(MpoError, match="no membrane statistics"):
        mpo.regularizer()
    mpo.step()
    with pytest.raises(MpoError, match="no membrane statistics"):
        mpo.step()


def test_a_network_without_mpo_neurons_is_refused_with_the_way_out() -> None:
    with pytest.raises(MpoError, match=r"mpo_snn\.adapt"):
        MPO(nn.Sequential(nn.Linear(2, 2), snntorch.Leaky(0.9)))


@pytest.mark.parametrize("bias", (0.0, 0.37))
def test_a_still_layer_is_named_in_a_warning(bias: float) -> None:
    network = TwoLayers()
    with torch.no_grad():
        network.fc2.weight.zero_()
        network.fc2.bias.fill_(bias)
    mpo = MPO(network, MPOSettings(lambda_dist=0.01, width_pull=True))
    Unrolled(network, 3)(normal(3, 7, 6))
    loss = mpo.regularizer()
    loss.backward()
    mpo.step()
    assert torch.isfinite(loss.detach())
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    with pytest.warns(UserWarning, match=r"layer 'lif2' does not move \(sigma = 0\)") as caught:
        mpo.statistics()
    assert len(caught) == 1
    assert torch.isfinite(network.lif2.width) and torch.isfinite(network.lif2.gain).all()


def test_a_regularizer_that_pulls_nothing_costs_no_backward_pass() -> None:
    values = {}
    for weight in (0.0, 1e-3):
        network = TwoLayers()
        mpo = MPO(network, MPOSettings(lambda_dist=weight))
        Unrolled(network, 3)(normal(3, 7, 6))
        dist, width = mpo.losses()
        values[weight] = (float(dist.detach()), float(width.detach()))
        assert dist.requires_grad  # whoever asks for it can still descend on it
        mpo.step()
        Unrolled(network, 3)(normal(3, 7, 6))
        assert mpo.regularizer().requires_grad == (weight > 0.0)
    assert values[0.0] == values[1e-3]


@pytest.mark.parametrize("how", ("deepcopy", "pickle"))
@pytest.mark.parametrize("update", ("ema", "gradient"))
def test_a_trained_network_can_be_copied_in_the_middle_of_a_step(how: str, update: str) -> None:
    network = TwoLayers()
    mpo = MPO(network, MPOSettings(width_update=update))  # type: ignore[arg-type]
    train_a_little(network, mpo)
    Unrolled(network, 3)(normal(3, 7, 6))
    network(normal(7, 6))
    twin = copy.deepcopy(network) if how == "deepcopy" else pickle.loads(pickle.dumps(network))
    mpo.step()
    x = normal(3, 7, 6, seed=9)
    assert torch.equal(Unrolled(twin, 3)(x), Unrolled(network, 3)(x))
    record = twin.lif1.record
    assert record is not None
    sample = record.take_all()
    assert sample is not None and sample.layer.count == 7 * 8  # of the last forward alone
    MPO(twin).layers["lif1"].neuron.scan(normal(3, 7, 8))


def test_training_leaves_nothing_in_snntorchs_list_of_instances() -> None:
    before = len(snntorch.SpikingNeuron.instances)
    network = TwoLayers()
    train_a_little(network, MPO(network))
    copy.deepcopy(network)
    assert len(snntorch.SpikingNeuron.instances) == before


def test_training_goes_on_from_the_state_dicts_as_if_it_had_not_stopped() -> None:
    whole = TwoLayers()
    mpo = MPO(whole)
    train_a_little(whole, mpo, 3)
    stopped = TwoLayers(seed=5)
    resumed = MPO(stopped)
    stopped.load_state_dict(pickle.loads(pickle.dumps(whole.state_dict())))
    resumed.load_state_dict(pickle.loads(pickle.dumps(mpo.state_dict())))
    for network, method in ((whole, mpo), (stopped, resumed)):
        train_a_little(network, method, 3)
    for (name, a), b in zip(whole.state_dict().items(), stopped.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert torch.equal(whole.lif1.gain, stopped.lif1.gain)


def test_state_of_other_layers_is_refused() -> None:
    state = MPO(TwoLayers()).state_dict()
    with pytest.raises(MpoError, match=r"\['lif1', 'lif2'\], the network has \['0'\]"):
        MPO(pass_through()).load_state_dict(state)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"width_scale": 0.0}, "mpo.width_scale is 0, allowed is above 0"),
        ({"width_scale_end": 0.0}, "mpo.width_scale_end is 0, allowed is above 0"),
        ({"target_mean": float("nan")}, "mpo.target_mean is nan, allowed is any finite number"),
        ({"target_std": float("nan")}, "mpo.target_std is nan"),
        ({"lambda_dist": -1.0}, "mpo.lambda_dist is -1, allowed is 0 or more"),
        ({"width_momentum": 1.0}, "mpo.width_momentum is 1, allowed is 0 to below 1"),
        ({"gain_momentum": -0.1}, "mpo.gain_momentum is -0.1"),
        ({"height_rate": 1.0}, "mpo.height_rate is 1, allowed is above 0, below 1"),
        ({"height_gamma": 1e-4}, "mpo.height_gamma is 0.0001, allowed is 0.001 or more"),
        ({"lambda_width": float("inf")}, "mpo.lambda_width is inf, allowed is 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as told:
        MPOSettings(**setting)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"beta": 1.5}, "neuron.beta is 1.5, allowed is 0 to 1"),
        ({"beta": 1.0}, "which deletes the input"),
        ({"threshold": 0.0}, "neuron.threshold is 0, allowed is above 0"),
        ({"width": float("inf")}, "neuron.width is inf"),
        ({"slope": -1.0}, "neuron.slope is -1, allowed is above 0"),
        ({"alpha": 0.3}, "neuron.alpha needs neuron.model synaptic: leaky has no synapse"),
    ],
)
def test_neuron_settings_out_of_range_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        NeuronSettings(**setting)


def test_all_findings_of_settings_are_told_at_once() -> None:
    with pytest.raises(RecipeError) as told:
        MPOSettings(width_scale=-1.0, lambda_dist=-1.0, height_rate=2.0)
    assert len(told.value.findings) == 3


# Per channel, width scale over the training, height norm, target mean, plug-in phi


def channels(seed: int = 0) -> Tensor:
    """One timestep of (batch, channel, height, width), every channel with another spread."""
    return normal(1, 8, 3, 2, 2, seed=seed) * torch.tensor([0.2, 1.0, 3.0]).reshape(3, 1, 1)


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


def test_width_scale_moves_along_a_half_cosine() -> None:
    settings = MPOSettings(width_scale=1.0, width_scale_end=0.4)
    found = [width_scale_at(p, settings) for p in (0.0, 1 / 3, 0.5, 1.0)]
    assert found == pytest.approx([1.0, 0.4 + 0.6 * 0.75, 0.7, 0.4])
    assert width_scale_at(0.5, MPOSettings(width_scale=0.8, width_scale_end=None)) == 0.8


def test_progress_of_the_step_sets_the_width_scale() -> None:
    network = pass_through(width=2.0)
    settings = only(
        adapt_width=True, width_scale=1.0, width_scale_end=0.5, width_momentum=0.0, lambda_width=1.0
    )
    mpo = MPO(network, settings)
    sigma = float(channels().std(correction=0))
    for progress, c in ((0.0, 1.0), (0.5, 0.75), (1.0, 0.5)):
        network[0].scan(channels())
        mpo.step(progress)
        assert float(network[0].width) == pytest.approx(c * sigma, rel=1e-5)
    network[0].scan(2 * channels())
    assert float(mpo.regularizer()) == pytest.approx(0.5 * sigma, rel=1e-5)


@pytest.mark.parametrize("progress", (-0.1, 1.5, 20, float("nan")))
def test_a_progress_that_is_no_share_is_refused(progress: float) -> None:
    network = pass_through(width=0.3)
    mpo = MPO(network, only())
    network[0].scan(channels())
    with pytest.raises(MpoError, match="allowed is 0 to 1: the share of the training that is done"):
        mpo.step(progress)


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


# Surrogates of snnTorch


def test_a_network_with_a_surrogate_of_snntorch_is_watched_but_its_width_is_not_adapted() -> None:
    network = pass_through(spike_grad=snntorch.surrogate.fast_sigmoid(slope=5.0))
    with pytest.raises(MpoError, match=r"layer '0'.*spike_grad.*adapt_width=False"):
        MPO(network)
    mpo = MPO(network, only(neuron_gain=True))
    network[0].scan(normal(2, 20, 4))
    mpo.step()
    row = mpo.statistics()["0"]
    assert math.isnan(row["coverage"]) and row["sigma"] > 0 and row["density"] > 0


@pytest.mark.parametrize("backend", ("in_place", "reference"))
def test_a_surrogate_of_snntorch_gives_its_gradient(backend: str) -> None:
    spike_grad = snntorch.surrogate.fast_sigmoid(slope=5.0)
    neuron = MPOLeaky(0.0, 1.0, reset="none", input_gain="unit", spike_grad=spike_grad)
    neuron.backend = backend
    x = normal(1, 20, 4).requires_grad_()
    (found,) = torch.autograd.grad(neuron.scan(x)[0].sum(), x)
    (expected,) = torch.autograd.grad(spike_grad(x - 1.0).sum(), x)
    torch.testing.assert_close(found, expected)
    copy.deepcopy(neuron)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"surrogate": "gauss"}, "surrogate is 'gauss', allowed are sigmoid, arctan"),
        ({"width_form": "wide"}, "width_form is 'wide', allowed are paper, scale, matched"),
        ({"slope": 0.0}, "width is inf"),
        ({"width": torch.tensor([1.0, 0.0])}, "width is 0..1"),
    ],
)
def test_surrogates_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        MPOLeaky(0.5, **arguments)
