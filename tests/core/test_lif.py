"""The LIF equations against literal numbers, closed forms and a slow float64 loop."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mpo_snn.lif import LIFParameters, lif_scan_reference, lif_step

KINDS = ("zero", "subtract", "none")
TIMINGS = ("step", "next")
GAINS = ("unit", "decay")


def parameters(beta: Any, threshold: Any, *choice: str) -> LIFParameters:
    reset, timing, gain = choice
    one = torch.tensor(1.0, dtype=torch.float64)
    b = torch.as_tensor(beta, dtype=torch.float64)
    theta = torch.as_tensor(threshold, dtype=torch.float64)
    return LIFParameters(b, theta, one, one, reset, timing, gain)  # type: ignore[arg-type]


def slow_loop(
    currents: list[float], beta: float, threshold: float, reset: str, timing: str, gain: str
) -> tuple[list[float], list[float]]:
    """One neuron in Python floats: spikes and membrane before reset, as the method states them."""
    v, spk = 0.0, 0.0
    spikes, membranes = [], []
    for i in currents:
        if timing == "next" and reset == "zero" and spk:
            v = 0.0
        drive = i if gain == "unit" else (1.0 - beta) * i
        v = beta * v + drive
        if timing == "next" and reset == "subtract" and spk:
            v = v - threshold
        spk = 1.0 if v > threshold else 0.0
        spikes.append(spk)
        membranes.append(v)
        if timing == "step" and spk:
            v = {"zero": 0.0, "subtract": v - threshold, "none": v}[reset]
    return spikes, membranes


def slow_layer(current: Tensor, beta: Tensor, threshold: Tensor, *choice: str) -> Any:
    """`slow_loop` for every neuron of (time, batch, features)."""
    spk, v = torch.zeros_like(current), torch.zeros_like(current)
    channels = current.shape[2]
    betas, thresholds = beta.expand(channels).tolist(), threshold.expand(channels).tolist()
    for b, c in itertools.product(*map(range, current.shape[1:])):
        one_spk, one_v = slow_loop(current[:, b, c].tolist(), betas[c], thresholds[c], *choice)
        spk[:, b, c] = torch.tensor(one_spk, dtype=torch.float64)
        v[:, b, c] = torch.tensor(one_v, dtype=torch.float64)
    return spk, v


LITERAL = {
    ("zero", "step"): ([0.75, 1.125, 0.75, 1.125, 0.75, 1.125], [0, 1, 0, 1, 0, 1]),
    ("zero", "next"): ([0.75, 1.125, 0.75, 1.125, 0.75, 1.125], [0, 1, 0, 1, 0, 1]),
    ("subtract", "step"): (
        [0.75, 1.125, 0.8125, 1.15625, 0.828125, 1.1640625],
        [0, 1, 0, 1, 0, 1],
    ),
    ("subtract", "next"): (
        [0.75, 1.125, 0.3125, 0.90625, 1.203125, 0.3515625],
        [0, 1, 0, 0, 1, 0],
    ),
    ("none", "step"): (
        [0.75, 1.125, 1.3125, 1.40625, 1.453125, 1.4765625],
        [0, 1, 1, 1, 1, 1],
    ),
    ("none", "next"): (
        [0.75, 1.125, 1.3125, 1.40625, 1.453125, 1.4765625],
        [0, 1, 1, 1, 1, 1],
    ),
}


@pytest.mark.parametrize("gain", GAINS)
@pytest.mark.parametrize(("reset", "timing"), LITERAL)
def test_literal_numbers(reset: str, timing: str, gain: str) -> None:
    """beta 0.5, threshold 1 and a drive of 0.75, worked out by hand: all are exact in binary."""
    membrane, spikes = LITERAL[reset, timing]
    current = torch.full((6, 1, 1), 0.75 if gain == "unit" else 1.5, dtype=torch.float64)
    spk, v = lif_scan_reference(current, parameters(0.5, 1.0, reset, timing, gain))
    assert v.flatten().tolist() == membrane
    assert spk.flatten().tolist() == spikes


@pytest.mark.parametrize("choice", list(itertools.product(KINDS, TIMINGS)))
@pytest.mark.parametrize("beta", (0.1, 0.5, 0.9, 0.99))
def test_closed_form_below_threshold(choice: tuple[str, str], beta: float) -> None:
    x, steps = 0.7, torch.arange(1, 21, dtype=torch.float64)
    current = torch.full((20, 1, 1), x, dtype=torch.float64)
    spk, v = lif_scan_reference(current, parameters(beta, 1e6, *choice, "unit"))
    torch.testing.assert_close(v.flatten(), x * (1 - beta**steps) / (1 - beta))
    _, v = lif_scan_reference(current, parameters(beta, 1e6, *choice, "decay"))
    torch.testing.assert_close(v.flatten(), x * (1 - beta**steps))
    assert not spk.any()


def test_a_membrane_at_threshold_is_silent() -> None:
    current = torch.tensor([1.0, 1.0 + 2**-52], dtype=torch.float64).reshape(1, 2, 1)
    spk, _ = lif_scan_reference(current, parameters(0.5, 1.0, "zero", "step", "unit"))
    assert spk.flatten().tolist() == [0.0, 1.0]


leaks = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.0, 1.0, allow_subnormal=False))
thresholds = st.floats(0.05, 2.0)


@st.composite
def layers(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """Current (time, batch, channels), beta and threshold, each scalar or one per channel."""
    steps, batch, channels = (draw(st.integers(1, n)) for n in (8, 2, 4))
    beta, threshold = (
        torch.tensor(
            draw(st.one_of(value, st.lists(value, min_size=channels, max_size=channels))),
            dtype=torch.float64,
        )
        for value in (leaks, thresholds)
    )
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    shape = (steps, batch, channels)
    current = 1.5 * torch.randn(shape, generator=generator, dtype=torch.float64) + 0.4
    return current, beta, threshold


@pytest.mark.parametrize("choice", list(itertools.product(KINDS, TIMINGS, GAINS)))
@given(layer=layers())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_equal_to_a_slow_loop(choice: tuple[str, ...], layer: tuple[Tensor, ...]) -> None:
    current, beta, threshold = layer
    spk, v = lif_scan_reference(current, parameters(beta, threshold, *choice))
    slow_spk, slow_v = slow_layer(current, beta, threshold, *choice)
    assert torch.equal(spk, slow_spk)
    torch.testing.assert_close(v, slow_v, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("gain", GAINS)
@given(layer=layers())
@settings(max_examples=30, deadline=None, derandomize=True)
def test_a_reset_to_zero_gives_the_same_spikes_in_either_timing(
    gain: str, layer: tuple[Tensor, ...]
) -> None:
    current, beta, threshold = layer
    p = parameters(beta, threshold, "zero", "step", gain)
    now, late = (lif_scan_reference(current, replace(p, reset_timing=t)) for t in TIMINGS)
    assert torch.equal(now[0], late[0])
    assert torch.equal(now[1], late[1])


dyadic = st.integers(-24, 24).map(lambda n: n / 8)


@given(
    currents=st.lists(dyadic, min_size=1, max_size=12),
    beta=st.sampled_from([0.25, 0.5, 1.0]),
    threshold=st.integers(1, 12).map(lambda n: n / 8),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_late_subtraction_is_threshold_over_beta_in_the_step_of_the_spike(
    currents: list[float], beta: float, threshold: float
) -> None:
    """Exact in binary, so the two ways must agree to the last bit."""
    v, spikes, membranes = 0.0, [], []
    for i in currents:
        v = beta * v + i
        spikes.append(1.0 if v > threshold else 0.0)
        membranes.append(v)
        v -= spikes[-1] * threshold / beta
    current = torch.tensor(currents, dtype=torch.float64).reshape(-1, 1, 1)
    p = parameters(beta, threshold, "subtract", "next", "unit")
    spk, membrane = lif_scan_reference(current, p)
    assert spk.flatten().tolist() == spikes
    assert membrane.flatten().tolist() == membranes


@pytest.mark.parametrize("choice", list(itertools.product(KINDS, TIMINGS, GAINS)))
def test_steps_by_hand_are_the_scan(choice: tuple[str, ...]) -> None:
    current = torch.randn(7, 3, 5, generator=torch.Generator().manual_seed(0)).double() + 0.5
    p = parameters(0.8, 0.6, *choice)
    spikes, membranes = lif_scan_reference(current, p)
    state = torch.zeros_like(current[0])
    for t in range(7):
        spk, v, state = lif_step(current[t], state, p)
        assert torch.equal(spk, spikes[t]) and torch.equal(v, membranes[t])


def test_the_spike_in_the_reset_is_detached_but_its_threshold_is_not() -> None:
    """One spike at step 0, read at step 1: d v[1] / d threshold = -1 and d v[1] / d i[0] = beta."""
    current = torch.tensor([2.0, 0.0], dtype=torch.float64).reshape(2, 1, 1).requires_grad_()
    p = parameters(0.5, 1.0, "subtract", "next", "unit")
    threshold = p.threshold.requires_grad_()
    _, v = lif_scan_reference(current, p)
    by_current, by_threshold = torch.autograd.grad(v[1].sum(), (current, threshold))
    assert by_current.flatten().tolist() == [0.5, 1.0]
    assert float(by_threshold) == -1.0
