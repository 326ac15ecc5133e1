"""Steps of docs/cores.md where numbers do not fit, against the project's cores, state by state."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from mpo_snn.deploy.fixed_point_core import FixedPointFormat, FixedPointNeurons, FixedPointState
from mpo_snn.deploy.loihi_core import LoihiNeurons, LoihiState
from mpo_snn.deploy.xylo_core import XyloNetwork, XyloNeurons, run_xylo

from .written import cores_page

PAGE, _ = cores_page()


def whole(generator, low, high, *shape):
    return torch.randint(low, high + 1, shape, generator=generator)


def stepped(core, totals, parameters, layer, design):
    """States and spikes of the page's core, step by step and neuron by neuron."""
    states = [{"v": 0, "u": 0, "i": 0} for _ in parameters]
    for arrives in totals:
        each = zip(states, arrives, parameters, strict=True)
        yield [PAGE[core](s, a, p, layer, design) for s, a, p in each], states


@pytest.mark.parametrize(
    ("leak", "order"),
    [*product(("shift", "multiply"), ("before", "after", "instead_of_spike"))],
)
def test_every_design_at_its_rails(leak, order) -> None:
    generator = torch.Generator().manual_seed(1)
    roundings = ("floor", "zero", "half_even", "half_up")
    choices = product(roundings, ("saturate", "wrap"), (">", ">="), ("zero", "subtract"))
    for rounding, overflow, compare, reset in choices:
        design = {
            "leak": leak, "leak_order": order, "compare": compare, "reset": reset,
            "most_spikes": 3, "weight_bits": 8, "weight_fraction_bits": None, "state_bits": 8,
            "leak_bits": 3, "overflow": overflow, "rounding": rounding,
        }  # fmt: skip
        lowest = -1 if leak == "shift" else 0
        part = whole(generator, lowest, 7, 12)
        bias, threshold = whole(generator, -20, 20, 12), whole(generator, 1, 60, 12)
        neurons = FixedPointNeurons(part, threshold, bias, 3)
        state = FixedPointState(FixedPointFormat(**design), neurons, 1)
        totals = whole(generator, -150, 150, 20, 12)
        values = zip(part.tolist(), threshold.tolist(), bias.tolist(), strict=True)
        parameters = [{f"leak_{leak}": k, "threshold": x, "bias": b} for k, x, b in values]
        layer = {"most_spikes": 3, "reset": reset}
        steps = stepped("fixed_point", totals.tolist(), parameters, layer, design)
        for total, (spikes, states) in zip(totals, steps, strict=True):
            assert state.step(total[None])[0].tolist() == spikes
            assert state.v[0].tolist() == [s["v"] for s in states]
        assert state.narrowed


def test_loihi_at_its_rails() -> None:
    generator = torch.Generator().manual_seed(2)
    parts = {
        "decay_u": whole(generator, 0, 4095, 20),
        "decay_v": whole(generator, 0, 4095, 20),
        "threshold_mantissa": whole(generator, 1, 2**17 - 1, 20),
        "bias_mantissa": whole(generator, -4095, 4095, 20),
        "bias_exponent": whole(generator, 0, 7, 20),
    }
    parameters = [
        dict(zip(parts, one, strict=True))
        for one in zip(*map(torch.Tensor.tolist, parts.values()), strict=True)
    ]
    bias = parts["bias_mantissa"] << parts["bias_exponent"]
    threshold = parts["threshold_mantissa"] << 6
    neurons = LoihiNeurons(parts["decay_u"], parts["decay_v"], threshold, bias)
    state, totals = LoihiState(neurons, 1, 20), whole(generator, -(2**22), 2**22, 60, 20)
    layer = {"v_min": neurons.v_min, "v_max": neurons.v_max}
    steps = stepped("loihi", totals.tolist(), parameters, layer, {})
    for total, (spikes, states) in zip(totals, steps, strict=True):
        assert state.step(total[None])[0].tolist() == spikes
        assert state.u[0].tolist() == [s["u"] for s in states]
        assert state.v[0].tolist() == [s["v"] for s in states]
    assert state.overflows and state.clamped


def test_xylo_at_its_rails() -> None:
    """Events of both signs, so that where a current saturates depends on their order."""
    generator = torch.Generator().manual_seed(3)
    weights, events = whole(generator, -127, 127, 4, 9), whole(generator, 0, 20, 60, 1, 4)
    dash = whole(generator, 0, 6, 2, 9)
    threshold, bias = whole(generator, 1, 2**15 - 1, 9), whole(generator, -(2**15), 2**15 - 1, 9)
    hidden = XyloNeurons(dash[0], dash[1][:, None], threshold, bias)
    none = torch.zeros(1, dtype=torch.int64)
    output = XyloNeurons(none, none[:, None], none + 1, none)
    chip = XyloNetwork(
        weights[..., None], torch.zeros(9, 9, 1).long(), torch.zeros(9, 1).long(), hidden, output,
        shift_in=7,
    )  # fmt: skip
    run = run_xylo(chip, events, keep_i=True)
    source = {"source": "input"}
    shifted, design = weights.T.numpy() << 7, {"input_events": 15}
    arriving = [PAGE["parts"](source, shifted, one[0].numpy(), design) for one in events]
    names = ("dash_mem", "dash_syn", "threshold", "bias")
    values = zip(*(x.tolist() for x in (dash[0], dash[1], threshold, bias)), strict=True)
    parameters = [dict(zip(names, one, strict=True)) for one in values]
    steps = stepped("xylo", arriving, parameters, {"most_spikes": 31}, design)
    for t, (spikes, states) in enumerate(steps):
        assert run.hidden[t, 0].tolist() == spikes
        assert run.i_hidden[t, 0, :, 0].tolist() == [s["i"] for s in states]
        assert run.v_hidden[t, 0].tolist() == [s["v"] for s in states]
    assert run.saturated and run.dropped_events
