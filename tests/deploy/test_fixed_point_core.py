"""The neuron in fixed point against a loop in Python's own integers, and against fractions."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor, trunc

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.deploy.fixed_point_core import (
    NO_LEAK,
    FixedPointFormat,
    FixedPointNeurons,
    FixedPointState,
    fixed_point_format,
    shift_rounded,
)
from mpo_snn.profiles.chip import load_chip_profile

ROUND = {
    "floor": floor,
    "zero": trunc,
    "half_even": round,
    "half_up": lambda x: floor(x + Fraction(1, 2)),
}
SPIKER = fixed_point_format(load_chip_profile("fpga"))


def loop(chosen, leak, threshold, bias, most_spikes, currents):
    """Spikes, membranes and what did not fit, of one neuron."""
    v, spikes, membranes, narrowed = 0, [], [], 0
    low, high = -(2 ** (chosen.state_bits - 1)), 2 ** (chosen.state_bits - 1) - 1

    def leaked(v):
        if chosen.leak == "none" or (chosen.leak == "shift" and leak == NO_LEAK):
            return v
        if chosen.leak == "shift":
            return v - ROUND[chosen.rounding](Fraction(v, 2**leak))
        return ROUND[chosen.rounding](Fraction(v * leak, 2**chosen.leak_bits))

    for current in currents:
        if chosen.leak_order == "before":
            v = leaked(v)
        v += current + bias
        if not low <= v <= high:
            narrowed += 1
            if chosen.overflow == "saturate":
                v = low if v < low else high
            else:
                while v > high:
                    v -= 2**chosen.state_bits
                while v < low:
                    v += 2**chosen.state_bits
        n, rest = 0, v
        while n < most_spikes and (
            rest > threshold or (chosen.compare == ">=" and rest == threshold)
        ):
            n, rest = n + 1, rest - threshold
        if n:
            v = rest if chosen.reset == "subtract" else 0
        if chosen.leak_order == "after" or (chosen.leak_order == "instead_of_spike" and not n):
            v = leaked(v)
        spikes.append(n)
        membranes.append(v)
    return spikes, membranes, narrowed


formats = st.builds(
    FixedPointFormat,
    leak=st.sampled_from(("none", "shift", "multiply")),
    leak_order=st.sampled_from(("before", "after", "instead_of_spike")),
    compare=st.sampled_from((">", ">=")),
    reset=st.sampled_from(("zero", "subtract")),
    most_spikes=st.just(7),
    weight_bits=st.just(8),
    weight_fraction_bits=st.none(),
    state_bits=st.integers(4, 12),
    leak_bits=st.integers(1, 5),
    overflow=st.sampled_from(("saturate", "wrap")),
    rounding=st.sampled_from(tuple(ROUND)),
)


@settings(deadline=None, max_examples=300, derandomize=True)
@given(formats, st.data())
def test_equals_a_loop_over_neurons(chosen, data):
    neurons, timesteps = 3, 12
    top = 2**chosen.leak_bits
    leaks = st.integers(0, top) if chosen.leak == "multiply" else st.integers(NO_LEAK, top - 1)
    high = 2 ** (chosen.state_bits - 1) - 1
    draw = lambda one: data.draw(st.lists(one, min_size=neurons, max_size=neurons))  # noqa: E731
    leak, threshold = draw(leaks), draw(st.integers(1, high))
    bias = draw(st.integers(-high, high))
    current = st.lists(st.integers(-2 * high, 2 * high), min_size=neurons, max_size=neurons)
    currents = data.draw(st.lists(current, min_size=timesteps, max_size=timesteps))
    most = data.draw(st.integers(1, 7))
    state = FixedPointState(
        chosen,
        FixedPointNeurons(torch.tensor(leak), torch.tensor(threshold), torch.tensor(bias), most),
        1,
    )
    spikes, membranes = [], []
    for step in currents:
        spikes.append(state.step(torch.tensor([step]))[0].tolist())
        membranes.append(state.v[0].tolist())
    narrowed = 0
    for one in range(neurons):
        given_to = [step[one] for step in currents]
        expected = loop(chosen, leak[one], threshold[one], bias[one], most, given_to)
        assert [step[one] for step in spikes] == expected[0]
        assert [step[one] for step in membranes] == expected[1]
        narrowed += expected[2]
    assert state.narrowed == narrowed


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.integers(-(2**40), 2**40), st.integers(0, 20), st.sampled_from(tuple(ROUND)))
def test_rounding_is_that_of_fractions(x, places, rounding):
    shifted = shift_rounded(torch.tensor(x), places, rounding)
    assert int(shifted) == ROUND[rounding](Fraction(x, 2**places))


def spikes_of(chosen, currents, k=2, threshold=40):
    neurons = FixedPointNeurons(
        torch.tensor([k]), torch.tensor([threshold]), torch.tensor([0]), chosen.most_spikes
    )
    state = FixedPointState(chosen, neurons, currents.shape[1])
    return torch.stack([state.step(current) for current in currents])


def test_from_rest_the_order_of_the_leak_is_no_matter_with_a_reset_to_zero():
    currents = torch.randint(-30, 60, (50, 20, 1), generator=torch.Generator().manual_seed(3))
    before, after, instead = (
        spikes_of(replace(SPIKER, leak_order=order), currents)
        for order in ("before", "after", "instead_of_spike")
    )
    assert before.sum() > 100
    assert torch.equal(before, after) and torch.equal(after, instead)


def test_spiker_by_hand():
    # 30 leaks to 23; 53, a spike; 40 is not above 40 and leaks to 30; 40 again; 46, a spike
    currents = torch.tensor([30, 30, 40, 10, 16]).reshape(5, 1, 1)
    assert spikes_of(SPIKER, currents).flatten().tolist() == [0, 1, 0, 0, 1]
    assert spikes_of(replace(SPIKER, compare=">="), currents).flatten().tolist() == [0, 1, 1, 0, 0]
