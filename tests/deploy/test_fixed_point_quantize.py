"""Rounding for hardware in fixed point: scales, thresholds, leaks, and what was lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.deploy.fixed_point_core import NO_LEAK, fixed_point_format
from mpo_snn.deploy.fixed_point_network import narrowest
from mpo_snn.deploy.fixed_point_quantize import quantize_fixed_point
from mpo_snn.deploy.fixed_point_scale import beta_of, layer_scale, round_leak
from mpo_snn.deploy.layers import INPUT, ChipGraph
from mpo_snn.deploy.quantized import UnfitError
from mpo_snn.deploy.real_run import run_real
from mpo_snn.errors import DeployError

from .fixed_point_designs import dense, design, events, layer, mixed


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    weight_bits=st.integers(2, 10),
    state_bits=st.integers(6, 20),
    size=st.sampled_from((0.01, 0.4, 3.0)),
    bias=st.sampled_from((0.0, 1.0, 30.0)),
)
def test_everything_fits_and_the_scale_is_as_large_as_it_may_be(
    seed, weight_bits, state_bits, size, bias
):
    target = design(weight_bits=weight_bits, state_bits=state_bits)
    chosen = fixed_point_format(target)
    rail, top = 2 ** (state_bits - 1) - 1, 2 ** (weight_bits - 1) - 1
    for one in mixed(seed, size=size, bias=bias):
        scale = layer_scale(one, chosen)
        weight = scale * max(float(p.weight.abs().max()) for p in one.projections)
        threshold, added = scale * float(one.threshold.max()), scale * float(one.bias.abs().max())
        assert weight <= top * (1 + 1e-12)
        assert threshold <= (rail - 1) * (1 + 1e-12) and added <= rail * (1 + 1e-12)
        shares = weight / top, threshold / (rail - 1), added / rail
        assert max(shares) > 0.98 or (threshold < 64 and max(shares) > 1 - 1e-12)
        if threshold > 65:
            assert threshold == pytest.approx(round(threshold))


def test_errors_are_what_rounding_did():
    graph = mixed(3)
    network = quantize_fixed_point(graph, design(weight_bits=4))
    on_grid = network.on_grid()
    for one, error in zip(graph, network.errors, strict=True):
        pairs = list(zip(one.projections, on_grid[one.name].weights, strict=True))
        off = torch.cat([(stored - p.weight).flatten() for p, stored in pairs])
        real = torch.cat([p.weight.flatten() for p, _ in pairs])
        assert error.weight_error == pytest.approx(float((off**2).sum() / (real**2).sum()) ** 0.5)
        assert error.largest_error == pytest.approx(float(off.abs().max()) * error.scale)
        assert error.largest_error <= 0.5 and error.saturated == 0
        assert error.dead_weights == int((real.abs() * error.scale < 0.5).sum()) > 0
        assert error.weights == real.numel()
        grid = on_grid[one.name].threshold / one.threshold - 1
        assert error.threshold == pytest.approx(float(grid.abs().max()))
        assert error.decay == 0


def test_fraction_bits_fix_the_scale_and_clip_what_is_larger():
    weight = torch.tensor([[0.5, 3.9, -4.0], [4.2, -9.0, 0.06]], dtype=torch.float64)
    graph = ChipGraph((layer("one", (2,), dense(INPUT, 3, 2, weight), bias=0.3),), (3,), 4, "rate")
    network = quantize_fixed_point(graph, design(weight_bits=6, weight_fraction_bits=3))
    (one,), (error,) = network.layers, network.errors
    assert one.weights[0].tolist() == [[4, 31, -32], [31, -32, 0]]
    assert one.neurons.threshold.tolist() == [8, 8] and one.neurons.bias.tolist() == [2, 2]
    assert (error.scale, error.saturated, error.dead_weights) == (8, 2, 1)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(
    beta=st.floats(0, 1),
    leak=st.sampled_from(("shift", "multiply")),
    bits=st.integers(1, 12),
)
def test_leaks_are_the_nearest_there_are(beta, leak, bits):
    chosen = fixed_point_format(design(leak=leak, leak_bits=bits))
    rounded = round_leak(torch.tensor([beta, 1.0, 0.0], dtype=torch.float64), chosen)
    left = beta_of(rounded, chosen).tolist()
    if leak == "shift":
        there = [1.0] + [1 - 2.0**-k for k in range(min(2**bits, 53))]
        assert rounded[1] == NO_LEAK
    else:
        there = [m / 2**bits for m in range(2**bits + 1)]
    assert left[0] in there and left[1:] == [1.0, 0.0]
    assert abs(left[0] - beta) == min(abs(one - beta) for one in there)


def test_beta_of_0_9_becomes_0_875_by_a_shift():
    (_, error, _) = quantize_fixed_point(mixed(0, beta=0.9), design()).errors
    assert error.decay == pytest.approx(0.025)


def test_calibration_keeps_membranes_from_wrapping():
    target = design(overflow="wrap", state_bits=9, leak="none", leak_order="before")
    graph = mixed(5, beta=1.0)
    data = events(graph, 9, 40, 8)
    assert float(run_real(graph, data).reach["last"].v) > 3  # far beyond the threshold
    blind, seeing = (quantize_fixed_point(graph, target, seen) for seen in (None, data))
    assert blind.run(data).events["wrapped"] > 100
    assert seeing.run(data).events["wrapped"] < blind.run(data).events["wrapped"] / 50
    assert all("may wrap" in error.note for error in blind.errors)
    assert all(error.note == "" for error in seeing.errors)


def test_membranes_that_leave_the_threshold_nothing_are_an_answer():
    """With 3 bits that wrap, the reach takes all of the scale; a check without data cannot know."""
    target = design(overflow="wrap", state_bits=3, leak="none", leak_order="before")
    graph = mixed(5, beta=1.0)
    with pytest.raises(UnfitError, match=r"a threshold of 1 of 'last' becomes 0 units"):
        quantize_fixed_point(graph, target, events(graph, 9, 40, 8))


def test_hardware_that_fires_at_the_threshold_gets_a_higher_one():
    graph, data = mixed(2), events(mixed(2), 2, 30)
    above = quantize_fixed_point(graph, design(compare=">"))
    at = quantize_fixed_point(graph, design(compare=">="))
    assert torch.equal(at.layers[0].neurons.threshold, above.layers[0].neurons.threshold + 1)
    assert at.run(data).spikes == above.run(data).spikes
    assert all("higher by 1" in error.note for error in at.errors)
    several = design(compare=">=", most_spikes=4, reset="subtract", leak_order="before")
    plain = quantize_fixed_point(mixed(2, most_spikes=2, reset="subtract"), several)
    assert torch.equal(plain.layers[0].neurons.threshold, above.layers[0].neurons.threshold)


def test_more_bits_come_nearer_to_real_numbers():
    off = []
    for bits in (3, 5, 8, 12):
        target = design(weight_bits=bits, state_bits=24, rounding="half_even")
        count = 0
        for seed in range(6):
            graph = mixed(seed)
            data = events(graph, seed, 30, 4)
            real = run_real(graph, data, keep_spikes=True).spikes
            run = quantize_fixed_point(graph, target).run(data)
            count += int((run.output != real["last"].flatten(2)).sum())
        off.append(count)
    assert off[0] > off[1] > off[2] > off[3]
    assert off[3] < 30  # of 2,160


def test_what_the_arithmetic_cannot_do_is_refused_with_all_findings():
    graph = mixed(0, reset="subtract")
    last = replace(graph.layers[2], alpha=torch.full((3,), 0.5, dtype=torch.float64))
    graph = replace(graph, layers=(*graph.layers[:2], last))
    with pytest.raises(DeployError, match="cannot quantize for Generic FPGA") as raised:
        quantize_fixed_point(graph, design())
    assert len(raised.value.findings) == 4  # reset of three layers, one synapse


def test_narrowest():
    for value, dtype in ((127, torch.int8), (128, torch.int16), (-32_768, torch.int16),
                         (-32_769, torch.int32), (2**31, torch.int64)):  # fmt: skip
        assert narrowest(torch.tensor([0, value])).dtype == dtype
    assert narrowest(torch.tensor([], dtype=torch.int64)).numel() == 0
