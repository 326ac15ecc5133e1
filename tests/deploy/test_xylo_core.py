"""The core of Xylo against a loop over neurons, synapses and events, one at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.deploy.xylo_core import XyloNetwork, XyloNeurons, decay, run_xylo

LOW, HIGH = -32768, 32767


def sat(x):
    return max(LOW, min(HIGH, x))


def dec(x, k):
    d = x >> k
    return d if d else (x > 0) - (x < 0)


class Neuron:
    """One neuron in Python's own integers."""

    def __init__(self, population, index, cap, version):
        self.mem = int(population.dash_mem[index])
        self.syn = [int(k) for k in population.dash_syn[index]]
        self.threshold, self.bias = int(population.threshold[index]), int(population.bias[index])
        self.i, self.v, self.cap, self.version = [0] * len(self.syn), 0, cap, version

    def receive(self, weights, times):
        for _ in range(times):
            self.i = [sat(i + w) for i, w in zip(self.i, weights, strict=True)]

    def step(self):
        if self.version == 1:
            v = self.v - dec(self.v, self.mem)
            self.i = [i - dec(i, k) for i, k in zip(self.i, self.syn, strict=True)]
            self.v = sat(v + sum(self.i))
        else:
            self.i = [i - dec(i, k) for i, k in zip(self.i, self.syn, strict=True)]
            leak = -dec(self.v, self.mem)
            leak = LOW if leak == -LOW else leak  # 32768 is no 16-bit number
            change = sat(leak + sum(self.i))
            change = sat(change + self.bias)
            self.v = sat(self.v + change)
        n = 0
        while self.v >= self.threshold and n < self.cap:
            n, self.v = n + 1, self.v - self.threshold
        return n


def loop(network, events):
    hidden = [
        Neuron(network.hidden, k, 31, network.version) for k in range(len(network.weights_rec))
    ]
    output = [
        Neuron(network.output, k, 1, network.version) for k in range(network.weights_out.shape[1])
    ]
    into, rec, out = (  # plain integers, which a loop reads many times faster than tensors
        (weights << shift).tolist()
        for weights, shift in (
            (network.weights_in, network.shift_in),
            (network.weights_rec, network.shift_rec),
            (network.weights_out[..., None], network.shift_out),
        )
    )
    fired, rows = [0] * len(hidden), []
    for step in events.tolist():
        for p, count in enumerate(step):
            for k, neuron in enumerate(hidden):
                neuron.receive(into[p][k], min(count, 15))
        for j, count in enumerate(fired):
            for k, neuron in enumerate(hidden):
                neuron.receive(rec[j][k], count)
            for k, neuron in enumerate(output):
                neuron.receive(out[j][k], count)
        fired = [neuron.step() for neuron in hidden]
        answer = [neuron.step() for neuron in output]
        rows.append((fired, answer, [n.v for n in hidden], [n.v for n in output]))
    return [torch.tensor(column) for column in zip(*rows, strict=True)]


def network_of(seed, *, large, version, hidden=6, inputs=3, outputs=2, synapses=2):
    rng = np.random.default_rng(seed)

    def integers(low, high, shape):
        return torch.from_numpy(rng.integers(low, high, shape))

    def population(count, synapses, most):
        return XyloNeurons(
            dash_mem=integers(0, 7, count),
            dash_syn=integers(0, 7, (count, synapses)),
            threshold=integers(20, most, count),
            bias=integers(-most, most, count),
        )

    shift = 7 if large else 0
    return XyloNetwork(
        weights_in=integers(-128, 128, (inputs, hidden, synapses)),
        weights_rec=integers(-128, 128, (hidden, hidden, synapses)),
        weights_out=integers(-128, 128, (hidden, outputs)),
        hidden=population(hidden, synapses, 20_000 if large else 400),
        output=population(outputs, 1, 20_000 if large else 400),
        shift_in=shift,
        shift_rec=shift,
        shift_out=shift,
        version=version,
    )


@pytest.mark.parametrize("version", (1, 2))
@pytest.mark.parametrize("large", (False, True))
@settings(deadline=None, max_examples=25, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_equals_a_loop_of_integers(version, large, seed):
    network = network_of(seed, large=large, version=version)
    generator = torch.Generator().manual_seed(seed)
    events = torch.randint(0, 18, (12, 2, 3), generator=generator)
    run = run_xylo(network, events)
    for sample in range(2):
        hidden, output, v_hidden, v_output = loop(network, events[:, sample])
        assert torch.equal(run.hidden[:, sample], hidden)
        assert torch.equal(run.output[:, sample], output)
        assert torch.equal(run.v_hidden[:, sample], v_hidden)
        assert torch.equal(run.v_output[:, sample], v_output)
    assert run.dropped_events == int((events - 15).clamp(min=0).sum())


def test_rails_are_reached_and_counted():
    generator = torch.Generator().manual_seed(0)
    events = torch.randint(0, 16, (200, 1, 3), generator=generator)
    assert run_xylo(network_of(1, large=True, version=2), events).saturated > 100
    small = run_xylo(network_of(1, large=False, version=2), events)
    assert small.hidden.max() > 1 and small.output.max() == 1


def test_the_current_decays_before_it_acts():
    one = torch.ones(1, dtype=torch.int64)
    weights = torch.full((1, 1, 1), 64)
    network = XyloNetwork(
        weights_in=weights,
        weights_rec=0 * weights,
        weights_out=torch.zeros(1, 1, dtype=torch.int64),
        hidden=XyloNeurons(0 * one, one[:, None], 30_000 * one, 0 * one),
        output=XyloNeurons(one, one[:, None], 30_000 * one, 0 * one),
    )
    events = torch.zeros(7, 1, 1, dtype=torch.int64)
    events[0] = 1
    # A membrane without memory (dash 0) shows what arrives: targets sheet, 64 with dash 1.
    assert run_xylo(network, events).v_hidden.flatten().tolist() == [32, 16, 8, 4, 2, 1, 0]
    hidden = XyloNeurons(0 * one, 0 * one[:, None], 30_000 * one, 0 * one)
    gone = XyloNetwork(weights, 0 * weights, network.weights_out, hidden, network.output)
    assert not run_xylo(gone, events).v_hidden.any()


def test_a_membrane_without_memory_stays_at_its_lower_rail():
    one = torch.ones(1, dtype=torch.int64)
    weights = torch.full((1, 1, 2), -128)
    hidden = XyloNeurons(0 * one, torch.ones(1, 2, dtype=torch.int64), 30_000 * one, 0 * one)
    output = XyloNeurons(one, one[:, None], 30_000 * one, 0 * one)
    silent = torch.zeros(1, 1, dtype=torch.int64)
    network = XyloNetwork(weights, 0 * weights, silent, hidden, output, shift_in=8)
    events = torch.zeros(30, 1, 1, dtype=torch.int64)
    events[0] = 1  # two currents of -32768, gone after 16 steps
    assert run_xylo(network, events).v_hidden.flatten().tolist() == [-32_768] * 30


def test_decay_is_asymmetric():
    x = torch.tensor([100, -100, 3, -3, 0, 1, -1])
    assert decay(x, torch.tensor(3)).tolist() == [12, -13, 1, -1, 0, 1, -1]


def test_a_weight_and_its_negative_reach_other_peaks():
    """+108 and -105 with 64 at dash_syn 2 and dash_mem 3: negative values decay faster."""
    one = torch.ones(1, dtype=torch.int64)
    for weight, peak in ((64, 108), (-64, -105)):
        network = XyloNetwork(
            weights_in=torch.full((1, 1, 1), weight),
            weights_rec=torch.zeros(1, 1, 1, dtype=torch.int64),
            weights_out=torch.zeros(1, 1, dtype=torch.int64),
            hidden=XyloNeurons(3 * one, 2 * one[:, None], 30_000 * one, 0 * one),
            output=XyloNeurons(one, one[:, None], 30_000 * one, 0 * one),
        )
        events = torch.zeros(40, 1, 1, dtype=torch.int64)
        events[0] = 1
        v = run_xylo(network, events).v_hidden.flatten()
        assert int(v[v.abs().argmax()]) == peak
