"""Membrane statistics against numpy in float64, at once, in parts and through the graph."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import snntorch.surrogate
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mpo_snn.lif import LIFParameters
from mpo_snn.membrane import Sample, combine, count_shares, observe, take_sample
from mpo_snn.membrane_record import MembraneRecord
from mpo_snn.moments import Moments, merge, moments

ONE = torch.tensor(1.0)
P = LIFParameters(beta=torch.tensor(0.5), threshold=ONE, slope=ONE, scale=ONE)


def add(record: MembraneRecord, v: Tensor, spk: Tensor) -> None:
    """A sequence as a scan hands it over."""
    record.add_sample(record.sample(*observe(v, spk, P, record.statistic, record.power)))


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("offset", (0.0, 3.0, 1e3, 1e6))
@pytest.mark.parametrize("shape", ((1,), (7, 3), (64, 32, 8, 8)))
def test_moments_against_numpy_however_far_from_zero(shape: tuple[int, ...], offset: float) -> None:
    """At an offset of 1e6, E[x^2] - E[x]^2 in float32 would have no digit left."""
    u = normal(*shape) + offset
    exact = u.numpy().astype(np.float64)
    found = moments(u)
    assert found.count == exact.size and found.mean.dtype == torch.float32
    assert float(found.mean) == pytest.approx(exact.mean(), rel=1e-6, abs=1e-6)
    assert float(found.variance) == pytest.approx(exact.var(), rel=1e-5, abs=1e-12)
    assert float(found.sigma) == pytest.approx(exact.std(), rel=1e-5, abs=1e-12)


def test_moments_of_each_neuron_against_numpy() -> None:
    u = 5.0 + normal(9, 3, 4)
    exact = u.numpy().astype(np.float64)
    found = moments(u, dim=(0,))
    assert found.count == 9 and found.mean.shape == (3, 4)
    np.testing.assert_allclose(found.mean, exact.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found.sigma, exact.std(0), rtol=1e-5)


def test_half_precision_is_summed_in_float32() -> None:
    u = (normal(1000) + 100.0).bfloat16()
    found = moments(u)
    assert found.mean.dtype == torch.float32
    assert float(found.mean) == pytest.approx(u.double().mean().item(), rel=1e-5)


def assert_same(a: Moments, b: Moments, rel: float) -> None:
    assert a.count == b.count
    torch.testing.assert_close(a.mean, b.mean, rtol=rel, atol=rel)
    torch.testing.assert_close(a.m2, b.m2, rtol=rel, atol=rel)


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    seed=st.integers(0, 2**32),
    offset=st.sampled_from([0.0, 10.0, -1e4]),
    per_neuron=st.booleans(),
)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_parts_merged_in_any_order_are_the_whole(
    sizes: list[int], seed: int, offset: float, per_neuron: bool
) -> None:
    u = offset + normal(sum(sizes), 3, seed=seed, dtype=torch.float64)
    dim = (0,) if per_neuron else None
    parts = [moments(part, dim) for part in u.split(sizes)]
    left, right = parts[0], parts[-1]
    for part in parts[1:]:
        left = merge(left, part)
    for part in reversed(parts[:-1]):
        right = merge(part, right)
    whole = moments(u, dim)
    assert_same(left, whole, 1e-9)
    assert_same(right, whole, 1e-9)


@pytest.mark.parametrize("merged", (False, True))
def test_gradients_of_mu_and_sigma(merged: bool) -> None:
    def statistics(u: Tensor) -> tuple[Tensor, Tensor]:
        found = merge(moments(u[:2]), moments(u[2:])) if merged else moments(u)
        return found.mean, found.sigma

    u = normal(5, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(statistics, (u,))


@pytest.mark.parametrize("value", (0.0, 0.3, 1e6))
def test_a_still_membrane_has_sigma_0_and_finite_gradients(value: float) -> None:
    u = torch.full((4, 5), value, requires_grad=True)
    found = moments(u)
    assert float(found.sigma.detach()) == 0.0
    (found.sigma + found.mean).backward()
    assert u.grad is not None
    torch.testing.assert_close(u.grad, torch.full((4, 5), 1 / 20))


def test_detached_moments_have_no_graph() -> None:
    found = moments(normal(3, 4).requires_grad_())
    assert found.sigma.requires_grad and not found.detached().sigma.requires_grad


def test_share_within_gamma_sigmas_by_hand() -> None:
    """mean 0, sigma sqrt(2): only the two zeros and the two ones lie within one sigma."""
    u = torch.tensor([0.0, 0.0, 1.0, -1.0, 2.0, -2.0, 2.0, -2.0, 1.4, -1.4])
    sigma = float(np.std(u.numpy()))
    assert 1.4 < sigma < 2.0
    for gamma, share in ((1.0, 0.6), (2.0, 1.0), (0.5, 0.2)):
        found = take_sample(u.reshape(5, 2), torch.zeros(3), gamma)
        assert float(found.rho) == pytest.approx(share)


def test_moments_per_channel_against_numpy_and_rho_within_each_channel() -> None:
    """Channels far apart: within one sigma of the layer lies other than of the channels."""
    u = normal(6, 3, 4, 5) * torch.tensor([0.1, 1.0, 5.0]).reshape(3, 1, 1)
    u = u + torch.tensor([-20.0, 0.0, 50.0]).reshape(3, 1, 1)
    found = take_sample(u, torch.zeros(3), 1.0, "channel")
    exact = u.numpy().astype(np.float64)
    mean, std = exact.mean((0, 2, 3)), exact.std((0, 2, 3))
    assert found.layer.count == 6 * 4 * 5
    np.testing.assert_allclose(found.layer.mean, mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.layer.sigma, std, rtol=1e-5)
    inside = [abs(exact[:, c] - mean[c]) <= std[c] for c in range(3)]
    assert float(found.rho) == pytest.approx(np.mean(inside), abs=1e-6)
    assert_same(found.neurons, take_sample(u, torch.zeros(3), 1.0).neurons, 0.0)


def test_channels_of_a_dense_layer_are_its_features() -> None:
    u = normal(6, 3)
    found = take_sample(u, torch.zeros(3), 1.0, "channel")
    assert_same(found.layer, found.neurons, 1e-6)


def test_merged_samples_per_channel_are_those_of_the_whole() -> None:
    u = normal(6, 3, 2, 2) + 4.0
    a, b = (take_sample(part, torch.zeros(3), 1.0, "channel") for part in u.split([2, 4]))
    whole = take_sample(u, torch.zeros(3), 1.0, "channel")
    assert_same(combine(a, b).layer, whole.layer, 1e-5)


def test_mean_square_of_the_surrogate_by_a_slow_loop() -> None:
    v = normal(2, 3, 4)
    assert float(count_shares(v, v, P)[2]) == 0.0
    total = 0.0
    for x in v.flatten().tolist():
        total += (math.exp(-(x - 1)) / (1 + math.exp(-(x - 1))) ** 2) ** 2
    assert float(count_shares(v, v, P, power=True)[2]) == pytest.approx(total / 24, rel=1e-5)


def test_coverage_of_a_surrogate_function_is_nan() -> None:
    v = normal(2, 3, 4)
    counted = count_shares(v, v.gt(0).float(), replace(P, surrogate=snntorch.surrogate.atan()))
    assert math.isnan(float(counted[0])) and float(counted[1]) == float(v.gt(0).float().mean())


def taken(record: MembraneRecord) -> Sample:
    sample = record.take_open()
    assert sample is not None
    return sample


def assert_same_sample(a: Sample, b: Sample) -> None:
    assert_same(a.layer, b.layer, 1e-5)
    assert_same(a.neurons, b.neurons, 1e-5)
    for name in ("rho", "coverage", "density"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize("statistic", ("mean", "final"))
def test_single_steps_give_what_the_sequence_gives(statistic: str) -> None:
    v, spk = normal(6, 4, 3), (normal(6, 4, 3, seed=1) > 0).float()
    at_once, by_step = MembraneRecord(statistic, 1.0), MembraneRecord(statistic, 1.0)
    add(at_once, v, spk)
    for t in range(6):
        by_step.add_step(v[t], spk[t], P)
    assert_same_sample(taken(by_step), taken(at_once))


@pytest.mark.parametrize("statistic", ("mean", "final"))
def test_statistic_by_hand(statistic: str) -> None:
    """Two neurons, two steps: means 2 and 4, last values 3 and 7; one spike in four."""
    v = torch.tensor([[[1.0, 1.0]], [[3.0, 7.0]]])
    record = MembraneRecord(statistic, 1.0)
    add(record, v, torch.tensor([[[0.0, 0.0]], [[0.0, 1.0]]]))
    sample = taken(record)
    mean, sigma = (3.0, 1.0) if statistic == "mean" else (5.0, 2.0)
    assert float(sample.layer.mean) == mean and float(sample.layer.sigma) == sigma
    assert float(sample.density) == 0.25
    # Half-width of the support of slope 1: 2 arccosh(sqrt(10)) = 3.64, around threshold 1.
    assert float(sample.coverage) == 0.75


@pytest.mark.parametrize("statistic", ("mean", "final"))
@pytest.mark.parametrize("by_steps", (False, True))
def test_membranes_in_half_precision_are_summed_in_float32(statistic: str, by_steps: bool) -> None:
    """1 + 2^-7 and 1 are neighbours in bfloat16; a sum of 300 of them has no such digit."""
    v = 1.0 + 2.0**-7 * (torch.arange(300 * 33).reshape(300, 33, 1) % 3 == 0)
    record, half = (MembraneRecord(statistic, 1.0) for _ in range(2))
    add(record, v.double(), torch.zeros_like(v))
    half_v = v.bfloat16()
    assert torch.equal(half_v.float(), v)
    if by_steps:
        for now in half_v:
            half.add_step(now, torch.zeros_like(now), P)
    else:
        add(half, half_v, torch.zeros_like(half_v))
    expected, found = record.take_all(), half.take_all()
    assert expected is not None and found is not None
    assert float(found.layer.mean) == pytest.approx(float(expected.layer.mean), rel=1e-6)
    assert float(found.layer.sigma) == pytest.approx(
        float(expected.layer.sigma), rel=1e-3, abs=1e-6
    )
    torch.testing.assert_close(found.shares, expected.shares, rtol=1e-6, atol=1e-6)


def test_a_change_of_batch_size_ends_the_sequence() -> None:
    record = MembraneRecord("mean", 1.0)
    for batch in (4, 4, 2, 2):
        record.add_step(torch.ones(batch, 3), torch.zeros(batch, 3), P)
    assert taken(record).layer.count == 4 * 3 + 2 * 3


def test_combining_samples_weighs_shares_by_their_counts() -> None:
    u = normal(6, 5)
    a = take_sample(u[:2], torch.tensor([0.2, 0.8, 0.1]), 1.0)
    b = take_sample(u[2:], torch.tensor([0.8, 0.2, 0.4]), 1.0)
    both = combine(a, b)
    assert_same(both.layer, moments(u), 1e-5)
    assert_same(both.neurons, moments(u, dim=(0,)), 1e-5)
    assert float(both.coverage) == pytest.approx((2 * 0.2 + 4 * 0.8) / 6)
    assert float(both.density) == pytest.approx((2 * 0.8 + 4 * 0.2) / 6)
    assert float(both.power) == pytest.approx((2 * 0.1 + 4 * 0.4) / 6)
    assert float(both.rho) == pytest.approx((2 * float(a.rho) + 4 * float(b.rho)) / 6)


def test_what_was_read_stays_for_the_step_and_then_is_gone() -> None:
    record = MembraneRecord("mean", 1.0)
    v = normal(3, 4, 2)
    add(record, v, torch.zeros_like(v))
    assert record.take_open() is not None and record.take_open() is None
    add(record, v, torch.zeros_like(v))
    everything = record.take_all()
    assert everything is not None and everything.layer.count == 2 * 4 * 2
    assert record.take_all() is None


def test_only_the_layers_moments_carry_a_graph() -> None:
    record = MembraneRecord("mean", 1.0)
    v = normal(3, 4, 2).requires_grad_()
    add(record, v, torch.zeros(3, 4, 2))
    sample = taken(record)
    assert sample.layer.mean.requires_grad
    others = (sample.neurons.mean, sample.rho, sample.coverage, sample.density)
    assert not any(tensor.requires_grad for tensor in others)
    everything = record.take_all()
    assert everything is not None and not everything.layer.mean.requires_grad
