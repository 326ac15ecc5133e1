"""The defining equation of every rival against a hand computation or a slow loop."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mpo_snn.errors import RecipeError
from mpo_snn.leaky import MPOLeaky
from mpo_snn.rivals.dietsnn import DietSNN
from mpo_snn.rivals.dspike import Dspike, best_temperature, set_temperature, temperature_of
from mpo_snn.rivals.klif import KLIF
from mpo_snn.rivals.lsg import LSG, spread_of_membrane
from mpo_snn.rivals.recdis import RecDis, distribution_loss
from mpo_snn.rivals.settings import RivalSettings
from mpo_snn.surrogate import surrogate_derivative
from mpo_snn.unroll import Unrolled


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def network(seed: int = 0, **neuron: Any) -> Unrolled:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for deep, wide in ((4, 6), (6, 5)):
        layers += [nn.Linear(deep, wide), MPOLeaky(0.5, 0.5, init_hidden=True, **neuron)]
    return Unrolled(nn.Sequential(*layers, nn.Linear(5, 3)), 3)


def first_weight(unrolled: Unrolled) -> Tensor:
    return unrolled.network.get_parameter("0.weight")


# Diet-SNN


def test_half_base_of_diet_snns_triangle_is_the_threshold_and_moves_with_it() -> None:
    unrolled = network(surrogate="triangle", slope=2.0, learn_beta=True, learn_threshold=True)
    rival = DietSNN(unrolled, RivalSettings())
    first, second = unrolled.neurons.values()
    with torch.no_grad():
        first.threshold.fill_(0.8)
    rival.after_step()
    assert float(first.slope) == pytest.approx(1 / 0.8)
    assert float(second.slope) == pytest.approx(1 / 0.5)
    for v in (0.1, 0.5, 0.8, 1.2, 1.7):
        expected = max(0.0, 1 - abs(v / 0.8 - 1)) / 0.8
        found = surrogate_derivative(torch.tensor(v - 0.8), first.slope, "triangle")
        assert float(found) == pytest.approx(expected, abs=1e-6)


def test_diet_snn_keeps_a_slope_that_was_given() -> None:
    unrolled = network(surrogate="triangle", slope=4.0, learn_threshold=True)
    DietSNN(unrolled, RivalSettings()).after_step()
    assert [float(n.slope) for n in unrolled.neurons.values()] == pytest.approx([4.0, 4.0])


# KLIF


def klif_by_hand(
    inputs: list[float], beta: float, threshold: float, k: float, reset: str, gain: str
) -> tuple[list[float], list[float]]:
    u, spikes, membranes = 0.0, [], []
    for i in inputs:
        f = max(0.0, k * (beta * u + (i if gain == "unit" else (1 - beta) * i)))
        s = 1.0 if f > threshold else 0.0
        u = f * (1 - s) if reset == "zero" else f - s * threshold if reset == "subtract" else f
        spikes.append(s)
        membranes.append(f)
    return spikes, membranes


@pytest.mark.parametrize("gain", ("unit", "decay"))
@pytest.mark.parametrize("reset", ("zero", "subtract", "none"))
def test_klif_by_hand(reset: Any, gain: Any) -> None:
    inputs = [0.4, -0.9, 0.8, 1.5, 0.2, 0.9, -3.1, -1.1]
    neuron = KLIF(0.6, 0.7, k=1.4, reset=reset, input_gain=gain, init_hidden=True)
    spikes, membranes = klif_by_hand(inputs, 0.6, 0.7, 1.4, reset, gain)
    assert 0 < sum(spikes) < len(spikes) and min(membranes) == 0.0
    spk, v = neuron.scan(torch.tensor(inputs).reshape(-1, 1, 1))
    assert spk.flatten().tolist() == spikes
    assert v.flatten().tolist() == pytest.approx(membranes, rel=1e-5)
    one_by_one = [float(neuron(torch.tensor([[i]])).detach()) for i in inputs]
    assert one_by_one == spikes


def test_klif_trains_its_factor_and_steepens_the_surrogate_by_it() -> None:
    """dS/di = g k s(F - theta), dS/dk = g i s(F - theta), at one step; nothing below 0."""
    neuron = KLIF(0.5, 0.7, k=1.5, width=0.5)
    i = torch.tensor([[[0.8, 1.0, -0.4]]], requires_grad=True)
    spk, _ = neuron.scan(i)
    grad_i, grad_k = torch.autograd.grad(spk.sum(), (i, neuron.k))
    slope = math.pi / (math.sqrt(3) * 0.5)

    def s(x: float) -> float:
        return slope * math.exp(-slope * x) / (1 + math.exp(-slope * x)) ** 2

    bumps = [s(1.5 * 0.5 * 0.8 - 0.7), s(1.5 * 0.5 * 1.0 - 0.7)]
    assert grad_i.flatten().tolist() == pytest.approx([0.75 * b for b in bumps] + [0.0], rel=1e-5)
    expected = 0.5 * (0.8 * bumps[0] + 1.0 * bumps[1])
    assert float(grad_k) == pytest.approx(expected, rel=1e-5)


def test_klif_of_factor_1_is_the_plain_neuron_where_nothing_is_below_0() -> None:
    x = normal(6, 4, 3).abs()
    for one, other in zip(KLIF(0.6, 0.5).scan(x), MPOLeaky(0.6, 0.5).scan(x), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reset_timing": "next"}, "reset_timing is 'next', allowed is step"),
        ({"k": 0.0}, "k is 0, allowed is above 0"),
    ],
)
def test_klif_out_of_range_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        KLIF(0.5, **arguments)


# LSG


@pytest.mark.parametrize("gain", ("unit", "decay"))
@pytest.mark.parametrize("beta", (0.0, 0.5, 0.9))
def test_spread_is_that_of_a_membrane_under_white_noise(beta: float, gain: Any) -> None:
    neuron = MPOLeaky(beta, 1e6, reset="none", input_gain=gain)
    _, v = neuron.scan(0.7 * normal(4, 40_000, 1))
    found = spread_of_membrane(torch.tensor(beta), 4, gain)
    assert float(found) * 0.7 == pytest.approx(float(v[-1].std()), rel=0.02)


def test_spread_in_closed_form() -> None:
    """Sum of beta^(2j) for three steps; an integrator of unit gain has sqrt(T)."""
    found = spread_of_membrane(torch.tensor([0.5, 1.0]), 3, "unit")
    assert found.tolist() == pytest.approx([math.sqrt(1 + 0.25 + 0.0625), math.sqrt(3)])


def test_width_of_lsg_follows_the_leak() -> None:
    unrolled = network(learn_beta=True, width=0.4, input_gain="unit")
    rival = LSG(unrolled, RivalSettings())
    rival.after_step()
    first, second = unrolled.neurons.values()
    assert [float(first.width), float(second.width)] == pytest.approx([0.4, 0.4])
    with torch.no_grad():
        first.beta.fill_(0.9)
    rival.after_step()
    expected = 0.4 * math.sqrt((1 + 0.81 + 0.6561) / (1 + 0.25 + 0.0625))
    assert [float(first.width), float(second.width)] == pytest.approx([expected, 0.4])


@pytest.mark.parametrize("timesteps", (1, 2, 5))
def test_width_of_lsg_is_relative_to_the_leak_at_the_timesteps_of_now(timesteps: int) -> None:
    """`early_timesteps` sets another T after the start."""
    unrolled = network(learn_beta=True, width=0.4, input_gain="unit")
    rival = LSG(unrolled, RivalSettings())
    first, second = unrolled.neurons.values()
    with torch.no_grad():
        first.beta.fill_(0.9)
    unrolled.timesteps = timesteps
    rival.after_step()
    spreads = [sum(beta ** (2 * j) for j in range(timesteps)) for beta in (0.9, 0.5)]
    expected = 0.4 * math.sqrt(spreads[0] / spreads[1])
    assert [float(first.width), float(second.width)] == pytest.approx([expected, 0.4])


def test_width_of_lsg_stays_above_0_at_the_end_of_the_range() -> None:
    unrolled = network(learn_beta=True)
    rival = LSG(unrolled, RivalSettings())
    for neuron in unrolled.neurons.values():
        neuron.beta.data.fill_(1.0)
    rival.after_step()
    assert all(0 < float(n.width) < 1 for n in unrolled.neurons.values())


# Dspike


def test_the_temperature_whose_gradient_points_the_right_way_is_kept() -> None:
    reference = torch.tensor([1.0, 1.0])
    gradients = [torch.tensor(g) for g in ([1.0, 0.0], [5.0, 4.0], [-1.0, -1.0])]
    assert best_temperature([3.0, 3.2, 2.8], gradients, reference) == 3.2
    assert best_temperature([3.0, 3.2, 2.8], gradients, torch.zeros(2)) == 3.0


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_finite_differences_are_the_derivative_of_a_smooth_loss(layout: Any) -> None:
    rival = Dspike(network(surrogate="tanh", slope=3.0), RivalSettings(dspike_step=0.01))
    weight = torch.nn.Parameter(normal(4, 3, 2, 2).to(memory_format=layout))
    chosen = torch.tensor([3, 17, 0])
    before = weight.detach().clone()
    found = rival.finite_differences(weight, chosen, lambda: (weight**3).sum() / 3)
    torch.testing.assert_close(found, before.flatten()[chosen] ** 2, rtol=2e-2, atol=1e-4)
    assert torch.equal(weight, before)


def test_dspike_moves_the_temperature_to_the_gradient_that_fits_and_nothing_else() -> None:
    unrolled = network(surrogate="tanh", slope=3.0)
    before = {name: value.clone() for name, value in unrolled.state_dict().items()}
    x, y = normal(3, 50, 4), normal(50, 3, seed=1)

    def loss(twin: Unrolled) -> Tensor:
        return (twin(x).mean(0) - y).square().mean()

    rival = Dspike(unrolled, RivalSettings(dspike_change=0.5, dspike_weights=24))
    rival.before_epoch(loss, seed=0)
    reference = rival.finite_differences(
        first_weight(unrolled), torch.arange(24), lambda: loss(unrolled)
    )
    cosines = {}
    for b in (3.0, 3.5, 2.5):
        probe = network(surrogate="tanh", slope=b)
        (grad,) = torch.autograd.grad(loss(probe), first_weight(probe))
        cosines[b] = float(torch.cosine_similarity(grad.flatten(), reference, 0))
    best = max(cosines, key=cosines.__getitem__)
    assert temperature_of(unrolled) == pytest.approx(best)
    for name, value in unrolled.state_dict().items():
        assert torch.equal(value, before[name]) or name.endswith("width")


def test_all_layers_share_the_temperature() -> None:
    unrolled = network(surrogate="tanh", slope=3.0)
    set_temperature(unrolled, 4.2)
    assert [float(n.slope) for n in unrolled.neurons.values()] == pytest.approx([4.2, 4.2])


# RecDis


@pytest.mark.parametrize(
    ("z", "margin", "expected"),
    [
        # All far on one side: mean 3, deviation 1; |z| the same: 3 - 1 - 1.
        ([2.0, 4.0], 1.0, (3 - 1) ** 2 + (3 - 1 - 1) ** 2),
        # Inside the reach on both sides: mean |z| 0.4, no deviation of it.
        ([-0.4, 0.4], 1.0, (1 - 0.4) ** 2),
        # Two humps outside: |z| is 2 everywhere.
        ([-2.0, 2.0], 1.0, (2 - 1) ** 2),
        # Spread over both: nothing is wrong.
        ([-2.0, -0.5, 0.1, 1.5], 1.0, 0.0),
        # A wider bulk forgives more: 3 - 2, and 3 - 2 - 1.
        ([2.0, 4.0], 2.0, (3 - 2) ** 2),
    ],
)
def test_penalties_by_hand(z: list[float], margin: float, expected: float) -> None:
    assert float(distribution_loss(torch.tensor(z), margin)) == pytest.approx(expected)


@pytest.mark.parametrize("offset", (4.0, -4.0))
def test_penalties_pull_the_membrane_towards_the_threshold(offset: float) -> None:
    z = (normal(100) + offset).requires_grad_()
    distribution_loss(z, 1.0).backward()
    assert z.grad is not None and bool(z.grad.mean() > 0) == (offset > 0)


def test_loss_of_recdis_is_the_mean_over_layers_in_units_of_the_reach() -> None:
    unrolled = network(surrogate="piecewise_linear", slope=4.0)
    rival = RecDis(unrolled, RivalSettings(recdis_lambda=0.3, recdis_margin=0.5))
    seen: list[Tensor] = []

    def observe(name: str, spk: Tensor, v: Tensor) -> None:
        rival.observe(name, spk, v)
        seen.append(v)

    unrolled(normal(3, 7, 4), observe)
    loss = rival.loss()
    expected = torch.stack([distribution_loss((v - 0.5) / 0.25, 0.5) for v in seen]).mean()
    torch.testing.assert_close(loss, 0.3 * expected)
    (grad,) = torch.autograd.grad(loss, first_weight(unrolled))
    assert bool(grad.any()) and rival.collected == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"dspike_temperature": 0.0}, "rival.dspike_temperature is 0, allowed is above 0"),
        ({"dspike_weights": 0}, "rival.dspike_weights is 0, allowed is 1 or more"),
        ({"recdis_lambda": -1.0}, "rival.recdis_lambda is -1, allowed is 0 or more"),
        ({"recdis_margin": math.inf}, "rival.recdis_margin is inf"),
    ],
)
def test_constants_out_of_range_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        RivalSettings(**setting)
