"""The Triton kernels against the reference scan: in Triton's interpreter, or on a GPU."""

from __future__ import annotations

import importlib
import itertools
from dataclasses import replace
from typing import Any, get_args
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mpo_snn.errors import RecipeError
from mpo_snn.kernels.scans import lif_scan, lif_scan_sampled
from mpo_snn.lif import LIFParameters
from mpo_snn.membrane import Granularity, Sample, take_sample
from mpo_snn.membrane_record import MembraneRecord
from mpo_snn.moments import Moments
from mpo_snn.surrogate import Shape

pytest.importorskip("triton")
triton_scan = importlib.import_module("mpo_snn.kernels.triton_scan")
triton_statistics = importlib.import_module("mpo_snn.kernels.triton_statistics")

ON_GPU = torch.cuda.is_available()
DEVICE = "cuda" if ON_GPU else "cpu"
CHOICES = list(itertools.product(("zero", "subtract", "none"), ("step", "next"), ("unit", "decay")))
LAYOUTS = ("contiguous", "channels last", "constant")


def make_current(shape: tuple[int, ...], layout: str, seed: int, dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    steps, batch, *features = shape
    size = (batch, *features) if layout == "constant" else (steps * batch, *features)
    x = (torch.randn(size, generator=generator) + 0.5).to(DEVICE, dtype)
    if layout == "channels last" and len(features) == 3:
        x = x.contiguous(memory_format=torch.channels_last)
    return x.expand(shape) if layout == "constant" else x.unflatten(0, (steps, batch))


def parameters(features: list[int], per_channel: bool, choice: Any, **more: Any) -> LIFParameters:
    def value(low: float, high: float) -> Tensor:
        if not (per_channel and features):
            return torch.tensor(low, device=DEVICE)
        shape = (features[0], *[1] * (len(features) - 1))
        return torch.linspace(low, high, features[0], device=DEVICE).reshape(shape)

    scale = torch.rand(features, generator=torch.Generator().manual_seed(0)).to(DEVICE) + 0.5
    return LIFParameters(value(0.5, 0.9), value(0.6, 1.1), value(2.0, 5.0), scale, *choice, **more)


@st.composite
def cases(draw: st.DrawFn, fewest: int = 1, most: int = 5) -> tuple[Tensor, LIFParameters]:
    """Of so many steps; of many steps, small ones: the interpreter is slow."""
    few = [(), (3,), (2, 3, 5), (1, 4, 4)]
    features = list(draw(st.sampled_from(few if most > 5 else [*few, (40, 6, 7)])))
    shape = (draw(st.integers(fewest, most)), draw(st.integers(1, 3)), *features)
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    current = make_current(shape, draw(st.sampled_from(LAYOUTS)), draw(st.integers(0, 99)), dtype)
    surrogate = draw(st.sampled_from(get_args(Shape)))
    choice = draw(st.sampled_from(CHOICES))
    return current, parameters(features, draw(st.booleans()), choice, surrogate=surrogate)


def strides(x: Tensor) -> list[int]:
    return [s for s, size in zip(x.stride(), x.shape, strict=True) if size > 1]


@given(case=cases())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_spikes_and_membrane_are_the_references_bit_for_bit(case: Any) -> None:
    current, p = case
    found, expected = lif_scan(current, p, "triton"), lif_scan(current, p, "reference")
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b) and a.dtype == b.dtype
        if current.stride(0):
            assert strides(a) == strides(current)


def record(statistic: str, power: bool, per_channel: bool, gamma: float = 0.8) -> MembraneRecord:
    granularity: Granularity = "channel" if per_channel else "layer"
    return MembraneRecord(statistic, gamma, granularity, power, per_neuron=True)


def numbers(sample: Sample) -> list[Tensor]:
    assert sample.neurons is not None
    moments = [sample.layer, sample.neurons]
    return [sample.shares, *(m.mean for m in moments), *(m.variance for m in moments)]


@given(
    case=cases(),
    statistic=st.sampled_from(["mean", "final"]),
    power=st.booleans(),
    per_channel=st.booleans(),
    enough=st.sampled_from([1, 4096]),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_statistics_are_those_of_the_membrane(
    case: Any, statistic: str, power: bool, per_channel: bool, enough: int
) -> None:
    """`enough`: programs, beyond which each goes through several samples."""
    current, p = case
    how = record(statistic, power, per_channel)
    with mock.patch.object(triton_scan, "ENOUGH", enough):
        _, v, found = lif_scan_sampled(current, p, how, False, "triton")
    assert v is None
    *_, expected = lif_scan_sampled(current, p, how, True, "reference")
    assert found.layer.count == expected.layer.count
    for a, b in zip(numbers(found), numbers(expected), strict=True):
        # one U at the edge of the band may round to the other side
        edge = 2.0 / current[0].numel() if a.shape == (4,) else 0.0
        torch.testing.assert_close(a, b.to(a.dtype), rtol=1e-5, atol=2e-6 + edge)


@pytest.mark.parametrize("features", (7, 300, 601))
def test_a_layer_of_equal_membranes_has_no_spread(features: int) -> None:
    current = torch.full((3, 4, features), 0.3137, device=DEVICE)
    p = parameters([features], False, ("zero", "step", "decay"))
    p = replace(p, scale=torch.ones((), device=DEVICE))
    *_, found = lif_scan_sampled(current, p, record("mean", False, False), False, "triton")
    assert float(found.layer.mean) > 0.0 and float(found.layer.sigma) == 0.0


OUTPUTS = st.sets(st.sampled_from(["spikes", "membrane", "mean", "m2"]), min_size=1)


def gradient(
    current: Tensor,
    p: LIFParameters,
    reads: set[str],
    statistic: str,
    backend: str,
    per_channel: bool = False,
    learns: bool = False,
) -> list[Tensor]:
    """Of a random projection of what is read, by the current; by leak and threshold if learnt."""
    leaves = [p.beta.clone().requires_grad_(), p.threshold.clone().requires_grad_()]
    if learns:
        p = replace(p, beta=leaves[0], threshold=leaves[1])
    # Where the current is constant in time, so is its leaf: the sum over time is tested too.
    constant = current.stride(0) == 0 and current.shape[0] > 1
    leaf = (current[0] if constant else current).detach().requires_grad_()
    source = leaf.expand(current.shape) if constant else leaf
    how = record(statistic, False, per_channel)
    spk, v, sample = lif_scan_sampled(source, p, how, "membrane" in reads, backend)
    generator = torch.Generator().manual_seed(1)
    layer = sample.layer
    loss = layer.mean.new_zeros(())
    found = {"spikes": spk, "membrane": v, "mean": layer.mean * layer.count, "m2": layer.m2}
    for name, x in found.items():
        if name in reads and x is not None:
            # Of what bfloat16 holds, so that spikes in it pass back what those in float32 do.
            weight = torch.randn(x.shape, generator=generator).bfloat16().to(loss)
            loss = loss + (x.to(loss.dtype) * weight).sum()
    wanted = [leaf, *leaves] if learns else [leaf]
    return list(torch.autograd.grad(loss, wanted, materialize_grads=True))


def assert_equal_gradients(
    case: Any, reads: set[str], statistic: str, per_channel: bool = False, learns: bool = False
) -> None:
    found, expected = (
        gradient(*case, reads, statistic, backend, per_channel, learns)
        for backend in ("triton", "reference")
    )
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5 * max(1.0, float(b.abs().max())))


@given(
    case=cases(),
    reads=OUTPUTS,
    statistic=st.sampled_from(["mean", "final"]),
    anew=st.sampled_from([2, 32]),
    per_channel=st.booleans(),
    learns=st.booleans(),
)
@settings(max_examples=120, deadline=None, derandomize=True)
def test_gradients_are_the_references(
    case: Any, reads: set[str], statistic: str, anew: int, per_channel: bool, learns: bool
) -> None:
    """`anew`: timesteps up to which the membrane is computed anew, not kept."""
    with mock.patch.object(triton_scan, "ANEW", anew):
        assert_equal_gradients(case, reads, statistic, per_channel, learns)


@given(case=cases(fewest=33, most=64), reads=OUTPUTS, statistic=st.sampled_from(["mean", "final"]))
@settings(max_examples=8, deadline=None, derandomize=True)
def test_gradients_over_more_steps_than_are_computed_anew(
    case: Any, reads: set[str], statistic: str
) -> None:
    assert len(case[0]) > triton_scan.ANEW
    assert_equal_gradients(case, reads, statistic)


@given(case=cases(), reads=OUTPUTS, statistic=st.sampled_from(["mean", "final"]))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_half_precision_is_read_as_it_is(case: Any, reads: set[str], statistic: str) -> None:
    current, p = case
    half = current.bfloat16()
    exact = half.float()
    if current.stride(0) == 0:
        half, exact = (x[0].expand(current.shape) for x in (half, exact))
    spk, v = lif_scan(half, p, "triton")
    expected_spk, expected_v = lif_scan(exact, p, "reference")
    assert spk.dtype == torch.bfloat16 and v.dtype == torch.float32
    assert torch.equal(spk.float(), expected_spk) and torch.equal(v, expected_v)
    (found,) = gradient(half, p, reads, statistic, "triton")
    (expected,) = gradient(exact, p, reads, statistic, "reference")
    assert found.dtype == torch.bfloat16
    # bfloat16 once: a GPU rounds, Triton's interpreter cuts off.
    tolerance = max(1.0, float(expected.abs().max())) * (2**-7 + 1e-5)
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=tolerance)


def test_what_it_cannot_run_is_said_and_runs_elsewhere() -> None:
    current = make_current((2, 2, 3), "contiguous", 0, torch.float32)
    p = replace(parameters([3], False, ("zero", "step", "decay")), surrogate=torch.sigmoid)
    with pytest.raises(RecipeError, match="backend triton: its surrogate is a function"):
        lif_scan(current, p, "triton")
    assert torch.equal(lif_scan(current, p)[0], lif_scan(current, p, "reference")[0])


@given(
    shape=st.sampled_from([(7,), (3, 5), (2, 3, 5, 4), (4, 40, 6, 7), (3, 1, 4, 4)]),
    channels_last=st.booleans(),
    per_channel=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    gamma=st.sampled_from([0.5, 1.0, 2.0]),
    most=st.sampled_from([1, 2, 1024]),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_the_share_in_the_band_is_that_of_plain_torch(
    shape: tuple[int, ...],
    channels_last: bool,
    per_channel: bool,
    dtype: torch.dtype,
    gamma: float,
    most: int,
) -> None:
    """`most`: programs, each of which then counts several blocks."""
    u = torch.randn(shape, generator=torch.Generator().manual_seed(len(shape))).to(DEVICE, dtype)
    if channels_last and len(shape) == 4:
        u = u.contiguous(memory_format=torch.channels_last)
    with mock.patch.object(triton_statistics, "MOST", most):
        granularity: Any = "channel" if per_channel else "layer"
        layer = take_sample(u, torch.zeros(3), gamma, granularity, per_neuron=False).layer
        found = triton_statistics.share_inside_triton(u, layer, gamma)
    expected = _share_inside_in_a_loop(u, layer, gamma)
    assert float(found) == pytest.approx(expected, abs=1e-6)


def _share_inside_in_a_loop(u: Tensor, layer: Moments, gamma: float) -> float:
    means, sigmas = (x.reshape(-1).tolist() for x in (layer.mean, layer.sigma))
    inside = 0
    for sample in u:
        rows = sample.reshape(len(means), -1) if len(means) > 1 else sample.reshape(1, -1)
        for row, mean, sigma in zip(rows, means, sigmas, strict=True):
            inside += sum(abs(value - mean) <= gamma * sigma for value in row.tolist())
    return inside / u.numel()


def test_a_layer_that_does_not_move_is_all_inside() -> None:
    u = torch.full((2, 3, 4), 0.25, device=DEVICE)
    layer = take_sample(u, torch.zeros(3), 1.0, "layer", per_neuron=False).layer
    assert float(triton_statistics.share_inside_triton(u, layer, 1.0)) == 1.0


def test_a_layout_it_cannot_read_is_said() -> None:
    p = parameters([3], False, ("zero", "step", "decay"))
    with pytest.raises(RecipeError, match="do not lie one after another"):
        lif_scan(torch.zeros(4, 2, 3).transpose(0, 1).to(DEVICE), p, "triton")
    with pytest.raises(RecipeError, match="not dense in memory"):
        lif_scan(torch.zeros(4, 2, 6, device=DEVICE)[..., ::2], p, "triton")
