"""Speck's scale against plain Python, its traps, and the rounded network in two arithmetics."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.deploy.layers import INPUT
from mpo_snn.deploy.project import project
from mpo_snn.deploy.real_run import run_real, with_values
from mpo_snn.deploy.speck_quantize import quantize_speck
from mpo_snn.deploy.speck_scale import layer_scale, scaled
from mpo_snn.errors import DeployError

from .speck_graphs import PROFILE, convolution, dense, digits, layer, network


def events(*shape, seed=0, most=3):
    return torch.randint(0, most, shape, generator=torch.Generator().manual_seed(seed))


def fills(values, bits):
    """Largest factor, in fractions, at which values stay inside a signed format."""
    factors = [
        Fraction(2 ** (bits - 1) - 1) / x if x > 0 else Fraction(2 ** (bits - 1)) / -x
        for x in map(Fraction, values)
        if x
    ]
    return min(factors, default=None)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    weights=st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=6),
    bias=st.floats(-2, 2, width=32),
    threshold=st.floats(0.125, 600, width=32),
    lower=st.floats(-600, -0.125, width=32),
)
def test_the_scale_is_the_largest_that_fits(weights, bias, threshold, lower):
    tensors = torch.tensor(weights), torch.tensor([bias])
    scale = layer_scale(*tensors, threshold, lower)
    parts = fills(weights, 8), fills([bias], 8), fills([threshold, lower], 16)
    most = float(min(part for part in parts if part is not None))
    assert scale.factor <= most * (1 + 1e-6)
    # values that are all negative and nearly equal are taken to 127, not 128
    assert scale.factor >= most * (1 if max(weights) >= 0 and bias >= 0 else 127 / 128) * (1 - 1e-6)
    for values, bits in ((tensors[0], 8), (tensors[1], 8), (torch.tensor([threshold, lower]), 16)):
        found = scaled(values, scale)
        assert -(2 ** (bits - 1)) <= int(found.min()) and int(found.max()) < 2 ** (bits - 1)


def test_halves_go_to_the_even_number():
    scale = layer_scale(torch.tensor([127.0]), torch.zeros(1), 100.0, -100.0)
    assert scale.factor == 1.0
    assert scaled(torch.tensor([0.5, 1.5, -0.5, -2.5, 2.6]), scale).tolist() == [0, 2, 0, -2, 3]


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("most_spikes", [1, 3, 32_767])
@pytest.mark.parametrize("bias", [0.0, 0.07])
def test_integers_fire_as_the_rounded_network_in_real_numbers(reset, most_spikes, bias):
    graph = digits(reset=reset, most_spikes=most_spikes, bias=bias)
    quantized = quantize_speck(graph, PROFILE)
    given = events(12, 3, 1, 8, 8)
    real = run_real(with_values(graph, quantized.on_grid()), given)
    run = quantized.run(given)
    assert torch.equal(run.output, real.output.to(torch.int64).flatten(2))
    assert run.spikes == {name: reach.spikes for name, reach in real.reach.items()}
    assert run.output.sum() > 0 and run.events == {"membranes beyond 16 bits": 0}
    assert run.updates == 12 * 3 * (8 * 64 + 16 * 16 + 10)


def branches(alike):
    """Two ways into one layer, by different depths; the same weight, or weights of their own."""
    ways = [
        convolution("a", (3, 8, 8), 2, kernel=1, padding=0, seed=7),
        convolution("b", (3, 8, 8), 2, kernel=1 if alike else 3, padding=0 if alike else 1, seed=7),
    ]
    return network(
        layer("a", convolution(INPUT, (1, 8, 8), 3)),
        layer("b", convolution("a", (3, 8, 8), 3, seed=3)),
        layer("c", *ways),
        layer("d", dense("c", (2, 8, 8), 4, pool=2)),
    )


@pytest.mark.parametrize("alike", [True, False])
def test_branches_share_one_scale_and_run_as_in_real_numbers(alike):
    graph = branches(alike)
    quantized = quantize_speck(graph, PROFILE)
    assert quantized.layers[2].weight.shape[1] == (3 if alike else 6)
    given = events(10, 2, 1, 8, 8)
    real = run_real(with_values(graph, quantized.on_grid()), given, keep_spikes=True)
    run = quantized.run(given)
    assert torch.equal(run.output, real.output.to(torch.int64))
    # synaptic events: by ones in the place of weights other than 0
    fired, total = {INPUT: given, **real.spikes}, 0
    for one, on_grid in zip(graph, quantized.on_grid().values(), strict=True):
        for way, weight in zip(one.projections, on_grid.weights, strict=True):
            reached = project(way, (weight != 0).double(), fired[way.source].flatten(0, 1))
            total += int(reached.sum())
    assert run.synaptic_events == total


def test_rounding_is_measured():
    graph = digits(bias=0.05)
    quantized = quantize_speck(graph, PROFILE)
    for one, rounded, error in zip(
        graph, quantized.on_grid().values(), quantized.errors, strict=True
    ):
        real, on_grid = one.projections[0].weight, rounded.weights[0]
        gap = (on_grid - real).square().mean().sqrt() / real.square().mean().sqrt()
        assert error.weight_error == pytest.approx(float(gap), rel=1e-9)
        assert error.largest_error <= 0.5 + 1e-4 and error.weights == real.numel()
        assert error.dead_weights == int(((on_grid == 0) & (real != 0)).sum())
        assert float((rounded.bias - one.bias).abs().max()) <= 0.51 / error.scale
        assert error.threshold <= 0.5 / (error.scale - 0.5)


def test_tensors_are_what_the_formats_hold():
    quantized = quantize_speck(digits(bias=0.05), PROFILE)
    tensors = quantized.tensors()
    assert tensors["first.weight"].dtype == tensors["last.bias"].dtype == torch.int8
    assert tensors["first.threshold"].dtype == tensors["last.lower"].dtype == torch.int16
    for one in quantized.layers:  # nothing was cut
        assert torch.equal(tensors[f"{one.name}.weight"].long(), one.weight)
        assert torch.equal(tensors[f"{one.name}.bias"].long(), one.bias)
        assert int(tensors[f"{one.name}.threshold"]) == one.threshold
        assert int(tensors[f"{one.name}.lower"]) == one.lower


def test_trap_an_unset_lowest_membrane_leaves_weights_here():
    weight = convolution(INPUT, (1, 8, 8), 8).weight.float() / 3
    vendor = layer_scale(weight, torch.zeros(8), 1.0, -(2.0**15))
    assert vendor.bound_by == "lower" and not scaled(weight, vendor).any()
    quantized = quantize_speck(digits(lower=None), PROFILE)
    assert all(int(one.weight.abs().max()) >= 127 for one in quantized.layers)
    assert all(one.lower == -one.threshold for one in quantized.layers)
    assert all("without calibration" in error.note for error in quantized.errors)


def test_calibration_sets_the_lowest_membrane_that_was_seen():
    graph = digits(lower=None)
    given = events(12, 3, 1, 8, 8)
    quantized = quantize_speck(graph, PROFILE, given)
    reach = run_real(graph, given).reach
    for one, error, lower in zip(graph, quantized.errors, quantized.lower, strict=True):
        assert lower == min(-1.0, reach[one.name].v_low)
        assert "calibration" in error.note
    own = quantize_speck(digits(lower=-2.0), PROFILE, given)
    assert own.lower == (-2.0, -2.0, -2.0) and not any(error.note for error in own.errors)


def test_a_membrane_beyond_16_bits_does_not_cost_weights():
    graph = network(layer("a", dense(INPUT, (4,), 3), lower=None))
    weight = -graph.layers[0].projections[0].weight.abs()
    graph = network(layer("a", replace(graph.layers[0].projections[0], weight=weight), lower=None))
    quantized = quantize_speck(graph, PROFILE, events(400, 1, 4, most=9))
    assert int(quantized.layers[0].weight.min()) == -128
    assert quantized.layers[0].lower == -(2**15)
    assert "the end of 16 bits" in quantized.errors[0].note


def test_trap_runs_leave_no_state_behind():
    quantized = quantize_speck(digits(), PROFILE)
    given = events(6, 2, 1, 8, 8)
    first, second = quantized.run(given), quantized.run(given)
    assert torch.equal(first.output, second.output)
    alone = quantized.run(given[:, 1:])
    assert torch.equal(first.output[:, 1:], alone.output)


def test_trap_a_bias_is_not_lost():
    graph = network(layer("a", dense(INPUT, (3,), 2), bias=0.25))
    run = quantize_speck(graph, PROFILE).run(torch.zeros(9, 1, 3, dtype=torch.int64))
    assert run.output[:, 0].sum(0).tolist() == [2, 2]  # 9 * 0.25, of which 1 each


def test_what_the_arithmetic_has_not_is_refused_at_once():
    graph = digits(beta=0.9)
    with pytest.raises(DeployError, match="3 findings") as caught:
        quantize_speck(graph, PROFILE)
    assert "beta = 0.9" in str(caught.value)
    with pytest.raises(DeployError, match=r"a\.?: a threshold of 1e-05 becomes 0 units"):
        quantize_speck(network(layer("a", dense(INPUT, (3,), 2), threshold=1e-5)), PROFILE)


def test_events_of_another_shape_are_refused():
    quantized = quantize_speck(digits(), PROFILE)
    with pytest.raises(DeployError, match=r"expected int64 of shape \(T, B, 1, 8, 8\)"):
        quantized.run(events(4, 1, 8, 8))
    with pytest.raises(DeployError, match="float32"):
        quantized.run(events(4, 1, 1, 8, 8).float())
