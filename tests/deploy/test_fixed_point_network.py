"""Networks in fixed point against a loop over synapses, and against real numbers."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.deploy.fixed_point_core import FixedPointState
from mpo_snn.deploy.fixed_point_quantize import quantize_fixed_point
from mpo_snn.deploy.layers import INPUT, ChipGraph
from mpo_snn.deploy.real_run import run_real, with_values
from mpo_snn.errors import DeployError

from .fixed_point_designs import dense, design, events, layer, mixed


def arriving(projection, weight, spikes):
    """Currents and reached synapses of one sample, nested lists flattened, synapse by synapse."""
    shape = projection.output_shape
    currents, reached = [0] * torch.Size(shape).numel(), 0
    if projection.kind == "dense":
        for target, source in itertools.product(range(weight.shape[0]), range(weight.shape[1])):
            w, n = int(weight[target, source]), int(spikes.flatten()[source])
            currents[target] += w * n
            reached += n * (w != 0)
        return currents, reached
    (ph, pw), (sh, sw), (dh, dw) = projection.pool, projection.stride, projection.padding
    _, height, width = projection.source_shape
    for o, i, a, b in itertools.product(*map(range, weight.shape)):
        for r, c in itertools.product(range(shape[1]), range(shape[2])):
            y, x = r * sh + a - dh, c * sw + b - dw
            if 0 <= y < height // ph and 0 <= x < width // pw:
                window = itertools.product(range(y * ph, y * ph + ph), range(x * pw, x * pw + pw))
                n = sum(int(spikes[i, row, column]) for row, column in window)
                currents[(o * shape[1] + r) * shape[2] + c] += int(weight[o, i, a, b]) * n
                reached += n * int(weight[o, i, a, b] != 0)
    return currents, reached


def slow_run(network, given):
    """Outputs, spikes by layer, synaptic events and narrowed membranes, sample by sample."""
    outputs, spikes = [], {one.real.name: 0 for one in network.layers}
    synapses = narrowed = 0
    for sample in range(given.shape[1]):
        states = {
            one.real.name: FixedPointState(network.format, one.neurons, 1)
            for one in network.layers
        }  # fmt: skip
        fired = {one.real.name: torch.zeros(one.real.shape).long() for one in network.layers}
        steps = []
        for step in given[:, sample]:
            fired[INPUT] = step
            for one in network.layers:
                total = [0] * one.real.size
                for projection, weight in zip(one.real.projections, one.weights, strict=True):
                    come, reached = arriving(projection, weight, fired[projection.source])
                    total = [a + b for a, b in zip(total, come, strict=True)]
                    synapses += reached
                current = torch.tensor(total).reshape(1, *one.real.shape)
                fired[one.real.name] = states[one.real.name].step(current)[0]
                spikes[one.real.name] += int(fired[one.real.name].sum())
            steps.append(fired[network.layers[-1].real.name].flatten())
        outputs.append(torch.stack(steps))
        narrowed += sum(state.narrowed for state in states.values())
    return torch.stack(outputs, 1), spikes, synapses, narrowed


@settings(deadline=None, max_examples=12, derandomize=True)
@given(
    seed=st.integers(0, 1000),
    reset=st.sampled_from(("zero", "subtract")),
    most_spikes=st.integers(1, 3),
    weight_bits=st.integers(3, 8),
    overflow=st.sampled_from(("saturate", "wrap")),
    leak=st.sampled_from(("shift", "multiply")),
)
def test_equals_a_loop_over_synapses(seed, reset, most_spikes, weight_bits, overflow, leak):
    target = design(
        reset=reset, most_spikes=4, weight_bits=weight_bits, state_bits=8, overflow=overflow,
        leak=leak, leak_order="before",
    )  # fmt: skip
    graph = mixed(seed, reset=reset, most_spikes=most_spikes)
    network, given_events = quantize_fixed_point(graph, target), events(graph, seed, 4, most=2)
    run = network.run(given_events)
    # Spikes of a recurrent source are counted where they arrive, one step later.
    output, spikes, synapses, narrowed = slow_run(network, given_events)
    assert torch.equal(run.output, output)
    assert run.spikes == spikes
    assert run.events == {"saturated" if overflow == "saturate" else "wrapped": narrowed}
    assert run.updates == (27 + 5 + 3) * 4 * 2
    last = network.layers[1].weights[1]
    pending = run.synaptic_events - synapses  # what the last step sent to itself and none received
    assert 0 <= pending <= 2 * most_spikes * int((last != 0).sum())


@pytest.mark.parametrize(("compare", "reset"), [(">", "zero"), (">", "subtract"), (">=", "zero")])
def test_equals_real_numbers_on_the_grid_where_nothing_rounds(compare, reset):
    """Scale 2^6, no leak: the rounded network in real numbers fires the same spikes."""
    target = design(
        leak="none", compare=compare, reset=reset, weight_fraction_bits=6, weight_bits=12,
        state_bits=24,
    )  # fmt: skip
    fired = 0
    for seed in range(5):
        graph = mixed(seed, beta=1.0, reset=reset)
        network, given_events = quantize_fixed_point(graph, target), events(graph, seed, 20)
        rounded = run_real(with_values(graph, network.on_grid()), given_events)
        run = network.run(given_events)
        assert torch.equal(run.output, rounded.output.flatten(2).long())
        assert run.spikes == {name: one.spikes for name, one in rounded.reach.items()}
        assert run.events == {"saturated": 0}
        fired += sum(run.spikes.values())
    assert fired > 500


@pytest.mark.parametrize("order", ["before", "after", "instead_of_spike"])
@pytest.mark.parametrize("leak", ["shift", "multiply"])
def test_equals_real_numbers_with_leaks_where_nothing_rounds(leak, order):
    """Weights are multiples of 2^8 and the leak is a half: eight steps need no more bits."""
    generator = torch.Generator().manual_seed(0)

    def weight(*shape):
        return torch.randint(-9, 10, shape, generator=generator).double() * 256

    hidden = layer("hidden", (30,), dense(INPUT, 10, 30, weight(30, 10)), beta=0.5, threshold=1500)
    last = layer("last", (8,), dense("hidden", 30, 8, weight(8, 30)), beta=0.5, threshold=700)
    graph = ChipGraph((hidden, last), (10,), 8, "rate")
    target = design(
        leak=leak, leak_order=order, weight_fraction_bits=0, weight_bits=14, state_bits=20
    )
    network, given_events = quantize_fixed_point(graph, target), events(graph, 1, 8, 20)
    assert all(error.weight_error == error.decay == 0 for error in network.errors)
    real, run = run_real(graph, given_events), network.run(given_events)
    assert torch.equal(run.output, real.output.long())
    assert run.spikes == {name: one.spikes for name, one in real.reach.items()}
    assert run.output.sum() > 100


def test_what_is_loaded_is_in_narrow_types_and_complete():
    graph = mixed(0)
    network = quantize_fixed_point(graph, design())
    found = network.tensors()
    assert set(found) == {
        f"{name}.{part}"
        for name, sources in (("maps", ("input",)), ("inner", ("maps", "inner")),
                              ("last", ("inner", "maps")))
        for part in ("threshold", "bias", "leak_shift", *(f"{s}.weight" for s in sources))
    }  # fmt: skip
    assert all(found[key].dtype == torch.int8 for key in found if key.endswith("weight"))
    assert found["maps.leak_shift"].unique().tolist() == [2]  # beta = 0.75
    plain = quantize_fixed_point(mixed(0, beta=1.0), design(leak="none"))
    assert not any("leak" in key for key in plain.tensors())


def test_events_of_another_shape_are_refused():
    network = quantize_fixed_point(mixed(0), design())
    with pytest.raises(DeployError, match=r"expected int64 of shape \(T, B, 2, 6, 6\)"):
        network.run(torch.zeros(4, 2, 2, 5, 6, dtype=torch.int64))
    with pytest.raises(DeployError, match=r"type torch.float32"):
        network.run(torch.zeros(4, 2, 2, 6, 6))
