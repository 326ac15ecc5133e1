"""Loihi's numbers against rounding with fractions, and the bounds that set the scale."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.deploy.layers import INPUT, ChipGraph, Projection
from mpo_snn.deploy.loihi_format import (
    alpha_of,
    beta_of,
    decay_of_current,
    decay_of_membrane,
    loihi_format,
)
from mpo_snn.deploy.loihi_quantize import quantize_loihi, stored_bias, stored_weight
from mpo_snn.deploy.loihi_reach import reach_of
from mpo_snn.errors import ProfileError
from mpo_snn.profiles.chip import load_chip_profile

from .loihi_graphs import dense, events, layer, two_layers

PROFILE = load_chip_profile("loihi-1")
NUMBERS = loihi_format(PROFILE)


def one_layer(inputs, weight, **values):
    """One neuron whose weights are all the same."""
    w = torch.full((1, inputs), float(weight), dtype=torch.float64)
    projection = Projection(INPUT, "fc", "dense", w, (inputs,), (1,))
    return ChipGraph((layer("only", (1,), projection, **values),), (inputs,), 8, "rate")


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.lists(st.floats(-20_000, 20_000), min_size=1, max_size=5))
def test_weights_go_to_the_nearest_even_mantissa(wanted):
    stored, clipped = stored_weight(torch.tensor(wanted, dtype=torch.float64), NUMBERS)
    unit = Fraction(2) ** (6 + stored.exponent)
    lost = 0
    for w, mantissa in zip(wanted, stored.mantissa.tolist(), strict=True):
        nearest = 2 * round(Fraction(w) / (2 * unit))  # Python rounds halves to even
        lost += not -256 <= nearest <= 254
        assert mantissa == min(max(nearest, -256), 254)
    assert clipped == lost
    # The finer exponent would not have held them.
    finer = [2 * round(Fraction(w) / 64) for w in wanted]
    assert (stored.exponent == -1) == all(-256 <= m <= 254 for m in finer)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.floats(-800_000, 800_000))
def test_biases_take_the_least_exponent_that_holds_them(wanted):
    mantissa, exponent, clipped = stored_bias(torch.tensor([wanted], dtype=torch.float64), NUMBERS)
    e = next((e for e in range(8) if abs(wanted) <= 4095 * 2**e), 7)
    nearest = round(Fraction(wanted) / 2**e)
    assert int(exponent) == e
    assert int(mantissa) == min(max(nearest, -4095), 4095)
    assert clipped == (abs(nearest) > 4095)


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.floats(0, 1))
def test_decays_are_within_half_a_part(leak):
    x = torch.tensor([leak], dtype=torch.float64)
    decay_u, decay_v = decay_of_current(x), decay_of_membrane(x)
    assert 0 <= int(decay_u) <= 4095 and 0 <= int(decay_v) <= 4095
    if leak <= 4095 / 4096:
        assert abs(float(alpha_of(decay_u)) - leak) <= 0.5 / 4096
    if leak >= 1 / 4096:
        assert abs(float(beta_of(decay_v)) - leak) <= 0.5 / 4096


def test_without_a_synapse_the_current_is_deleted_and_if_keeps_all():
    assert float(alpha_of(decay_of_current(None))) == 0
    assert int(decay_of_membrane(torch.ones(1))) == 0


@settings(deadline=None, max_examples=20, derandomize=True)
@given(seed=st.integers(0, 999), size=st.sampled_from([0.02, 0.4, 5.0]))
def test_weights_fill_their_bits_and_everything_fits(seed, size):
    network = quantize_loihi(two_layers(seed, alpha=0.6, bias=0.2, size=size), PROFILE)
    for one in network.layers:
        (weight,) = one.weights
        wanted = one.scale * one.real.projections[0].weight
        assert int(weight.mantissa.abs().max()) > 127 or one.scale * 1.001 > 131071 * 64
        assert int((weight.mantissa % 2).sum()) == 0
        assert (weight.values - wanted).abs().max() <= 2.0 ** (6 + weight.exponent)
        assert one.clipped == 0
        assert (one.neurons.threshold % 64 == 0).all()
    tensors = network.tensors()
    assert tensors["hidden.input.weight_mantissa"].dtype == torch.int16


@pytest.mark.parametrize(
    ("graph", "bound"),
    [
        (one_layer(1, 0.001), "threshold"),
        (one_layer(1, 1.0, bias=60.0), "bias"),
        (one_layer(2, 1.0), "weight"),
        (one_layer(1000, 0.5), "total"),
        (one_layer(100, 0.5, alpha=0.99), "current"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_what_bounds_the_scale(graph, bound):
    (one,) = quantize_loihi(graph, PROFILE).layers
    scale, weight = one.scale, float(one.real.projections[0].weight.max())
    inputs = one.real.projections[0].source_shape[0]
    fill = {
        "threshold": scale / (131071 * 64),
        "bias": scale * 60 / (4095 * 128),
        "weight": scale * weight / (254 * 64),
        "total": scale * weight * inputs / ((1 << 21) - 1),
        "current": scale * weight * inputs / 0.01 / ((1 << 23) - 1),
    }[bound]
    assert 0.94 < fill < 1 + 1e-9


def test_a_shared_threshold_is_met_exactly():
    graph = two_layers(3)
    assert [error.threshold for error in quantize_loihi(graph, PROFILE).errors] == [0, 0]
    graph.layers[0].threshold.mul_(torch.linspace(1, 2, 7))
    assert quantize_loihi(graph, PROFILE).errors[0].threshold > 0


def test_at_worst_nothing_overflows():
    """Every input of a neuron that helps fires at every step."""
    graph = one_layer(777, 0.3171, alpha=0.9, bias=0.4)
    network = quantize_loihi(graph, PROFILE)
    run = network.run(torch.ones(200, 1, 777, dtype=torch.int64))
    assert run.events["overflows"] == 0


def test_calibration_keeps_more_bits_where_few_inputs_fire():
    graph = one_layer(2000, 0.5)
    few = torch.zeros(8, 1, 2000, dtype=torch.int64)
    few[:, :, :20] = 1
    worst, measured = (quantize_loihi(graph, PROFILE, x).layers[0].scale for x in (None, few))
    assert measured > 10 * worst


def test_reach_holds_what_the_network_does():
    graph = two_layers(5, alpha=0.8, bias=0.3, recurrent=True)
    given = events(graph, 5)
    measured, worst = reach_of(graph, given), reach_of(graph, None)
    for one in graph:
        # Twice what is reached is kept free, which the worst case does not.
        assert measured[one.name].current / 2 <= worst[one.name].current
        assert measured[one.name].membrane > 0


def test_errors_say_what_rounding_did():
    graph = two_layers(9, bias=0.1)
    weight = graph.layers[0].projections[0].weight
    weight[0, 0] = 1e-6
    network = quantize_loihi(graph, PROFILE)
    error, one = network.errors[0], network.layers[0]
    off = one.weights[0].values - one.scale * weight
    assert error.weight_error == pytest.approx(
        float((off**2).sum().sqrt() / ((one.scale * weight) ** 2).sum().sqrt())
    )
    assert error.largest_error == float(off.abs().max())
    assert error.dead_weights >= 1
    assert error.weights == 35
    assert 0 < error.decay <= 0.5 / 4096
    assert error.note == "the bias acts 1 step before the first input"
    assert network.on_grid()["hidden"].weights[0][0, 0] == 0


def test_another_arithmetic_is_refused():
    tables = {key: dict(table) for key, table in PROFILE.tables.items()}
    tables["format"]["sum_bits"] = replace(tables["format"]["sum_bits"], value=20)
    with pytest.raises(ProfileError, match=r"sum_bits is 20, the arithmetic has 22"):
        quantize_loihi(two_layers(0), replace(PROFILE, tables=tables))


def test_projections_of_one_layer_share_the_scale_and_not_the_exponent():
    generator = torch.Generator().manual_seed(0)
    strong, weak = (dense(INPUT, 5, 3, generator, size) for size in (1.0, 0.3))
    graph = ChipGraph((layer("only", (3,), strong, weak),), (5,), 8, "rate")
    (one,) = quantize_loihi(graph, PROFILE).layers
    assert [weight.exponent for weight in one.weights] == [0, -1]
