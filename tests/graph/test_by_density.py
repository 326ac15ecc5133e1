"""A convolution changes its way with the density of its input, and never its results."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.graph import by_density
from mpo_snn.graph.by_density import ENTER, LEAVE, ByDensity
from mpo_snn.graph.counts import Counts
from mpo_snn.graph.layout import features_in_memory, laid_out
from mpo_snn.graph.neurons import layer
from mpo_snn.graph.simulate import Simulator
from mpo_snn.kernels.event_conv import is_available

CPU = torch.device("cpu")


class Events:
    """What stands in for events: counts its calls, and may be off by one bit."""

    def __init__(self, is_off=False):
        self.calls, self.is_off = 0, is_off

    def __call__(self, x):
        self.calls += 1
        y = 2 * x
        return torch.nextafter(y, y + 1) if self.is_off else y, int(x.count_nonzero())


def at_density(share, samples=8):
    """[samples, 10, 10, 1] with so many values that are not zero in each sample."""
    x = torch.zeros(samples, 100)
    x[:, : round(100 * share)] = 1
    return x.reshape(samples, 10, 10, 1)


def made(events, monkeypatch, worth=0):
    monkeypatch.setattr(by_density, "WORTH", worth)
    monkeypatch.setattr(by_density, "is_available", lambda: True)
    return ByDensity(lambda x: 2 * x, [events], products=1)


def test_events_take_over_and_give_back(monkeypatch):
    convolve = made(Events(), monkeypatch)
    ways = []
    for share in (0.9, ENTER + 0.02, 0.1, 0.1, LEAVE - 0.02, 0.9, 0.9, 0.1, 0.1):
        was_on_events = convolve.is_on_events
        assert torch.equal(convolve(at_density(share)), 2 * at_density(share))
        ways.append(was_on_events)
    # dense until one sparse input has been seen; on events up to and with the first dense one
    assert ways == [False, False, False, True, True, True, False, False, True]


def test_one_bit_is_enough_to_stay_dense(monkeypatch):
    events = Events(is_off=True)
    convolve = made(events, monkeypatch)
    for _ in range(4):
        assert torch.equal(convolve(at_density(0.1)), 2 * at_density(0.1))
    assert events.calls == 1
    assert not convolve.has_run_on_events


def test_every_shape_is_compared_for_itself(monkeypatch):
    events = Events()
    convolve = made(events, monkeypatch)
    for samples in (8, 8, 3, 3, 8):
        events.is_off = samples == 3
        x = at_density(0.1, samples)
        assert torch.equal(convolve(x), 2 * x)
    assert events.calls == 2 + 1 + 1  # compared and run; compared and found different; run


def test_nothing_is_tried_before_it_can_pay(monkeypatch):
    events = Events()
    convolve = made(events, monkeypatch, worth=8 * 3)
    for expected in (0, 0, 1, 2):
        convolve(at_density(0.1))
        assert events.calls == expected


@pytest.mark.skipif(not is_available(), reason="numba is optional: pip install 'mpo-snn[fast]'")
@pytest.mark.parametrize("loop", [False, True])
def test_graphs_give_the_same_bits_on_events(monkeypatch, loop):
    monkeypatch.setattr(by_density, "WORTH", 0)
    graph, x = sparse_graph(loop)
    dense, events = Simulator(graph, 1e-4), Simulator(graph, 1e-4, events=True)
    for _ in range(2):
        expected, found = dense.run(x, record="membrane"), events.run(x, record="membrane")
        assert torch.equal(found.output, expected.output)
        for name, v in expected.v.items():
            assert torch.equal(found.v[name], v)
            assert torch.equal(found.counts[name], expected.counts[name])
    assert dense.on_events == []
    assert events.on_events == (["conv", "again"] if loop else ["conv"])
    assert 0 < float(expected.counts["lif"].sum()) / expected.spikes["lif"].numel() < ENTER


@pytest.mark.skipif(not is_available(), reason="numba is optional: pip install 'mpo-snn[fast]'")
@pytest.mark.parametrize("kind", ["Affine", "Linear"])
def test_products_give_the_same_bits_on_events(monkeypatch, kind):
    """Where the library adds up in an order that is known; elsewhere they stay dense."""
    monkeypatch.setattr(by_density, "WORTH", 0)
    rng = np.random.default_rng(4)
    one, weight = np.ones(300), 0.1 * rng.standard_normal((160, 300))
    node = nir.Linear(weight) if kind == "Linear" else nir.Affine(weight, rng.standard_normal(160))
    nodes = {
        "input": nir.Input({"input": np.array([300])}),
        "lif": nir.LIF(2e-4 * one, 2 * one, 0 * one, one, 0 * one),
        "product": node,
        "output": nir.Output({"output": np.array([160])}),
    }
    edges = [("input", "lif"), ("lif", "product"), ("product", "output")]
    graph = nir.NIRGraph(nodes, edges)
    x = 1.2 * torch.rand(8, 20, 300, generator=torch.Generator().manual_seed(3))
    dense, events = Simulator(graph, 1e-4), Simulator(graph, 1e-4, events=True)
    for _ in range(2):
        expected = dense.run(x, record="spikes")
        assert torch.equal(events.run(x).output, expected.output)
    assert 0 < float(expected.counts["lif"].sum()) / expected.spikes["lif"].numel() < ENTER
    operation = events._program.operations["product"]
    assert isinstance(operation, ByDensity) and len(operation._same) == 1
    found = [way for way in operation._same.values() if way is not None]
    assert events.on_events == (["product"] if found else [])


def test_small_calls_stay_dense(monkeypatch):
    events = Events()
    convolve = made(events, monkeypatch)
    convolve.least = 9
    for samples in (8, 9, 9, 8):
        convolve(at_density(0.1, samples))
    assert events.calls == 2  # compared and run, both with nine samples


def sparse_graph(loop):
    """Neurons that fire seldom, a convolution behind them, and one back to them if wanted."""
    rng = np.random.default_rng(3)
    shape, one = (32, 6, 6), np.ones((32, 6, 6))

    def lif():
        return nir.LIF(2e-4 * one, 2 * one, 0 * one, one, 0 * one)

    def conv(scale):
        weight = scale * rng.standard_normal((32, 32, 3, 3))
        return nir.Conv2d((6, 6), weight, 1, 1, 1, 1, rng.standard_normal(32))

    nodes = {
        "input": nir.Input({"input": np.array(shape)}),
        "lif": lif(),
        "conv": conv(0.3),
        "last": lif(),
        "output": nir.Output({"output": np.array(shape)}),
    }
    edges = [("input", "lif"), ("lif", "conv"), ("conv", "last"), ("last", "output")]
    if loop:
        nodes["again"] = conv(0.01)
        edges += [("lif", "again"), ("again", "lif")]
    x = torch.rand(5, 3, *shape, generator=torch.Generator().manual_seed(3)) - 0.2
    return nir.NIRGraph(nodes, edges), x


@settings(deadline=None, max_examples=30)
@given(
    shape=st.sampled_from([(3, 4, 5), (1, 4, 4), (6, 1, 1), (4, 7)]),
    timesteps=st.integers(1, 3),
    is_constant=st.booleans(),
    seed=st.integers(0, 99),
)
def test_neurons_fire_the_same_however_their_input_lies(shape, timesteps, is_constant, seed):
    one = np.ones(shape)
    neurons = layer(
        nir.LIF(3e-4 * one, 3 * one, 0 * one, one, 0 * one), 1e-4, shape, torch.float32, CPU
    )
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.randn(1 if is_constant else timesteps, 2, *shape, generator=generator)
    other = x.movedim(2, -1).contiguous().movedim(-1, 2)  # channels last
    found = []
    for current in (x, other):
        state, counts = neurons.start(2), Counts.zeros(shape, 2, CPU)
        for _ in range(2):  # the second goes on from the state of the first
            out, v = neurons.scan(current, state, timesteps, keep_v=True, counts=counts)
        assert features_in_memory(out) == features_in_memory(current)
        assert laid_out(out, features_in_memory(out)).is_contiguous()
        found.append((out, v, state.tensors[0], counts.of_neurons, counts.of_samples))
    for one_way, another in zip(*found, strict=True):
        assert torch.equal(one_way, another)


def test_a_convolution_gives_channels_last_in_float32():
    graph, x = sparse_graph(loop=False)
    run = Simulator(graph, 1e-4)
    conv = run._program.operations["conv"](x[0])
    assert conv.is_contiguous(memory_format=torch.channels_last)
    weight = torch.tensor(run.flat.nodes["conv"].weight).float()
    bias = torch.tensor(run.flat.nodes["conv"].bias).float()
    torch.testing.assert_close(conv, F.conv2d(x[0], weight, bias, padding=1))
