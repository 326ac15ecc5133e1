"""Neurons of several spikes a step against a loop over single numbers, and their gradient."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mpo_snn.errors import RecipeError
from mpo_snn.leaky import MPOLeaky
from mpo_snn.mpo import MPO
from mpo_snn.multi_spike import count_spikes, fire, nearest_multiple
from mpo_snn.rivals.klif import KLIF
from mpo_snn.settings import MPOSettings, NeuronSettings
from mpo_snn.surrogate import surrogate_derivative
from mpo_snn.synaptic import MPOSynaptic
from mpo_snn.unroll import Unrolled

T, B, N = 7, 3, 4


def currents(seed: int, scale: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(T, B, N, generator=generator, dtype=torch.float64) + 0.3


def slow(x: Tensor, alpha: float, beta: float, threshold: float, layer: Any) -> list[list[float]]:
    """Spikes of every step, neuron by neuron, in Python's own numbers."""
    columns = []
    for series in x.flatten(1).T.tolist():
        i = v = 0.0
        fired = []
        for current in series:
            i = alpha * i + current
            v = beta * v + i
            n = 0
            while n < layer.most_spikes and v >= (n + 1) * threshold:
                n += 1
            if n and layer.reset_kind == "zero":
                v = 0.0
            v -= n * threshold if layer.reset_kind == "subtract" else 0.0
            if layer.lower is not None:
                v = max(v, layer.lower)
            fired.append(float(n))
        columns.append(fired)
    return torch.tensor(columns).T.tolist()  # type: ignore[no-any-return]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["zero", "subtract"]),
    st.sampled_from([0.0, 0.5, 0.8]),
    st.sampled_from([0.5, 0.75, 1.0]),
    st.sampled_from([0.4, 1.0]),
    st.integers(1, 6),
    st.sampled_from([None, 0.0, -0.7]),
)
def test_spikes_are_those_of_a_loop(
    seed: int,
    reset: Any,
    alpha: float,
    beta: float,
    threshold: float,
    most: int,
    lower: float | None,
) -> None:
    given_: dict[str, Any] = {
        "threshold": threshold,
        "reset": reset,
        "input_gain": "unit",
        "most_spikes": most,
        "lower": lower,
    }
    layer = MPOSynaptic(alpha, beta, **given_) if alpha else MPOLeaky(beta, **given_)
    layer = layer.double()
    for name in ("alpha", "beta", "threshold"):
        if hasattr(layer, name):
            getattr(layer, name).fill_({"alpha": alpha, "beta": beta}.get(name, threshold))
    x = currents(seed)
    spk, _ = layer.scan(x)
    assert spk.flatten(1).tolist() == slow(x, alpha, beta, threshold, layer)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("synaptic", [False, True])
def test_one_step_after_another_is_the_scan(reset: Any, synaptic: bool) -> None:
    given_: dict[str, Any] = {"reset": reset, "most_spikes": 4, "lower": -0.5, "init_hidden": True}
    layer = MPOSynaptic(0.5, 0.9, **given_) if synaptic else MPOLeaky(0.9, **given_)
    x = currents(0, 30.0).float()
    spk, _ = layer.scan(x)
    assert torch.equal(torch.stack([layer(step) for step in x]), spk)
    assert spk.max() > 1


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_a_floor_that_is_never_reached_leaves_a_plain_neuron(reset: Any) -> None:
    x = currents(3).requires_grad_()
    results = []
    for lower in (None, -1e9):
        layer = MPOLeaky(0.8, 0.5, reset=reset, input_gain="unit", lower=lower).double()
        spk, v = layer.scan(x)
        weights = torch.arange(spk.numel(), dtype=torch.float64).reshape(spk.shape)
        (grad,) = torch.autograd.grad((spk * weights).sum() + v.sum(), x)
        results.append((spk, v, grad))
    for plain, with_floor in zip(*results, strict=True):
        torch.testing.assert_close(plain, with_floor, rtol=1e-12, atol=1e-12)


def test_several_spikes_fire_at_the_threshold_and_one_above_it() -> None:
    v = torch.tensor([-3.0, 0.0, 0.99, 1.0, 1.01, 2.0, 2.99, 3.0, 50.0])
    assert count_spikes(v, 1.0, 3).tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert count_spikes(v, 1.0, 1).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert count_spikes(torch.tensor([-1.0, 0.0, 1.0]), 0.0, 3).tolist() == [0, 0, 3]


def test_a_membrane_that_is_not_a_number_shows_in_the_spikes() -> None:
    layer = MPOLeaky(0.5, 1.0, reset="subtract", most_spikes=5, lower=-1.0)
    spk, v = layer.scan(torch.tensor([[[math.nan, 4.0, math.inf]]]).repeat(3, 1, 1))
    assert spk[..., 0].isnan().all() and v[..., 0].isnan().all()
    assert spk[:, 0, 1].tolist() == [2, 2, 2] and spk[0, 0, 2] == 5


@given(st.floats(-5.0, 20.0), st.floats(0.2, 3.0), st.integers(1, 8))
def test_the_gradient_is_the_surrogate_at_the_nearest_multiple(
    value: float, threshold: float, most: int
) -> None:
    v = torch.tensor([value], dtype=torch.float64, requires_grad=True)
    theta = torch.tensor(threshold, dtype=torch.float64, requires_grad=True)
    slope, scale = torch.tensor(2.5, dtype=torch.float64), torch.tensor(1.5, dtype=torch.float64)
    n = fire(v, theta, most, slope, scale, "sigmoid")
    assert torch.equal(n, count_spikes(v, theta, most))
    by_v, by_theta = torch.autograd.grad(n.sum(), (v, theta))
    distances = [abs(value - k * threshold) for k in range(1, most + 1)]
    at = min(distances)
    s = 1 / (1 + math.exp(-2.5 * at))
    assert float(by_v) == pytest.approx(1.5 * 2.5 * s * (1 - s), rel=1e-9)
    k = float(nearest_multiple(v, theta, most))
    assert distances[int(k) - 1] == pytest.approx(at, abs=1e-12)
    assert float(by_theta) == pytest.approx(-k * float(by_v), rel=1e-9)


def test_the_gradient_through_time_is_that_of_the_equation_by_hand() -> None:
    """Two steps of one neuron: dn_2 / dx_1 = s(v_2) beta [u_1 above the floor]."""
    layer = MPOLeaky(
        0.5, 1.0, reset="subtract", input_gain="unit", most_spikes=3, lower=-1.0
    ).double()
    for first, passes in ((2.2, 1.0), (-4.0, 0.0)):
        x = torch.tensor([[[first]], [[0.9]]], dtype=torch.float64, requires_grad=True)
        spk, v = layer.scan(x)
        grad = torch.autograd.grad(spk[1].sum(), x)[0].flatten()
        s = surrogate_derivative(v[1] - 1.0, layer.slope, "sigmoid").item()
        assert grad.tolist() == pytest.approx([0.5 * s * passes, s])


def test_mpo_steers_them_and_counts_their_spikes() -> None:
    torch.manual_seed(0)
    layer = MPOLeaky(0.5, 0.2, reset="subtract", init_hidden=True, most_spikes=8, lower=-0.2)
    network = torch.nn.Sequential(torch.nn.Linear(5, 6), layer)
    mpo = MPO(network, MPOSettings(height_norm="rms", lambda_dist=0.01))
    spk = Unrolled(network, 4).train()(3.0 * torch.randn(4, 9, 5))
    (spk.sum() + mpo.regularizer()).backward()
    mpo.step(progress=0.5)
    table = mpo.statistics()["1"]
    assert table["density"] == pytest.approx(float(spk.detach().mean()))
    assert spk.max() > 1
    assert 0.0 < table["coverage"] <= 1.0
    assert all(math.isfinite(value) for value in table.values())
    gradient = network[0].weight.grad
    assert gradient is not None
    assert bool(gradient.isfinite().all())
    assert bool(gradient.any())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"most_spikes": 0}, "most_spikes is 0, allowed is 1 to 1000"),
        ({"output_spikes": 0}, "output_spikes is 0, allowed is 1 to 1000, or null"),
        ({"lower": 0.5}, "lower is 0.5, allowed is .* to 0"),
        ({"most_spikes": 3, "reset": "none"}, "need a reset in the step of the spike"),
        ({"lower": -1.0, "reset_timing": "next"}, "need a reset in the step of the spike"),
        ({"output_spikes": 3, "reset_timing": "next"}, "need a reset in the step"),
        ({"most_spikes": 3, "model": "klif"}, "not for neuron.model klif"),
        ({"most_spikes": 3, "backend": "in_place"}, "allowed is reference"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        NeuronSettings(**changes)


def test_arguments_out_of_range_are_refused() -> None:
    for kind in (lambda **a: MPOLeaky(0.5, **a), lambda **a: MPOSynaptic(0.5, 0.5, **a)):
        with pytest.raises(RecipeError, match="most_spikes is 0"):
            kind(most_spikes=0)
        with pytest.raises(RecipeError, match="lower is 1"):
            kind(lower=1.0)
    with pytest.raises(RecipeError, match="KLIF: most_spikes"):
        KLIF(0.5, most_spikes=2)
    with pytest.raises(RecipeError, match="backend in_place"):
        MPOLeaky(0.5, most_spikes=2, backend="in_place").scan(torch.zeros(1, 1))


def test_output_neurons_may_fire_another_number_of_times() -> None:
    several = NeuronSettings(reset="subtract", most_spikes=31, output_spikes=1, lower=-0.5)
    assert several.of_output() == replace(several, most_spikes=1, output_spikes=None)
    assert NeuronSettings(most_spikes=31).of_output().most_spikes == 31
