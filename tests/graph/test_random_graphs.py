"""Random graphs, loops included, against the naive interpreter."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from mpo_snn.errors import GraphError
from mpo_snn.graph.simulate import Simulator
from tests.graph.graphs import DT, affine, full, graph, integrator, li, lif, ports
from tests.graph.interpreter import HiddenLoopError, Interpreter

# Powers of two keep every sum exact or close to it; no threshold is a sum of such weights.
WEIGHTS = st.sampled_from([-1.0, -0.5, 0.5, 1.0])
MATRICES = st.lists(WEIGHTS, min_size=4, max_size=4).map(lambda w: np.array(w).reshape(2, 2))
PAIRS = st.lists(WEIGHTS, min_size=2, max_size=2).map(np.array)
SHAPE = (2,)

NODES = st.one_of(
    st.builds(lambda v: lif(v_reset=v), st.sampled_from([0.0, -0.25])),
    st.just(li()),
    st.just(integrator()),
    st.just(nir.IF(full(SHAPE, 1 / DT), full(SHAPE, 0.7), full(SHAPE, 0.0))),
    st.just(
        nir.CubaLIF(
            tau_syn=full(SHAPE, 2 * DT),
            tau_mem=full(SHAPE, 4 * DT),
            r=full(SHAPE, 4),
            v_leak=full(SHAPE, 0.125),
            v_threshold=full(SHAPE, 0.3),
            v_reset=full(SHAPE, 0),
            w_in=full(SHAPE, 2),
        )
    ),
    st.just(nir.CubaLI(full(SHAPE, 2 * DT), full(SHAPE, 2 * DT), full(SHAPE, 2), full(SHAPE, 0))),
    st.lists(st.integers(0, 3), min_size=2, max_size=2).map(lambda k: nir.Delay(np.array(k) * DT)),
    st.builds(affine, MATRICES, PAIRS),
    st.builds(affine, MATRICES, PAIRS),
    st.builds(nir.Linear, MATRICES),
    st.builds(nir.Scale, PAIRS),
    st.sampled_from([0.3, -0.3]).map(lambda value: nir.Threshold(full(SHAPE, value))),
)


@st.composite
def graphs(draw, *, loops: bool) -> nir.NIRGraph:
    hidden = {f"n{i}": draw(NODES) for i in range(draw(st.integers(1, 6)))}
    names = list(hidden)
    edges = set()
    for i, name in enumerate(names):
        edges.add((draw(st.sampled_from(["input", *names[:i]])), name))
        edges.add((name, draw(st.sampled_from(["output", *names[i + 1 :]]))))
    for _ in range(draw(st.integers(0, 6))):
        source, target = draw(st.sampled_from(names)), draw(st.sampled_from(names))
        if loops or names.index(source) < names.index(target):
            edges.add((source, target))
    return graph({**ports(SHAPE), **hidden}, draw(st.permutations(sorted(edges))))


def drive(seed: int, timesteps: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).integers(-2, 4, (timesteps, 1, 2)) / 2


def simulator_or_none(candidate: nir.NIRGraph) -> Simulator | None:
    try:
        return Simulator(candidate, DT, torch.float64)
    except GraphError as error:
        assert "no node with state" in str(error)
        return None


@settings(max_examples=150, deadline=None, derandomize=True)
@given(graphs(loops=False), st.integers(0, 9))
def test_acyclic_graphs_equal_the_interpreter(candidate: nir.NIRGraph, seed: int) -> None:
    x = drive(seed)
    output = Simulator(candidate, DT, torch.float64).run(torch.from_numpy(x)).output
    np.testing.assert_allclose(output[:, 0], Interpreter(candidate, DT, x[:, 0]).run(), atol=1e-12)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(graphs(loops=True), st.integers(0, 9))
def test_recurrent_graphs_equal_the_interpreter(candidate: nir.NIRGraph, seed: int) -> None:
    simulator = simulator_or_none(candidate)
    assume(simulator is not None)
    assert simulator is not None
    x = drive(seed)
    try:
        expected = Interpreter(candidate, DT, x[:, 0]).run()
    except HiddenLoopError:
        event("the rule is applied twice")
        assume(False)
    event(f"loops: {any(group.is_loop for group in simulator.schedule.groups)}")
    event(f"clones: {any(step.clone_of for step in simulator.schedule.steps)}")
    output = simulator.run(torch.from_numpy(x)).output
    np.testing.assert_allclose(output[:, 0], expected, atol=1e-12)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(graphs(loops=True), st.integers(0, 9), st.sampled_from([1, 2, 3, 5]))
def test_chunks_do_not_show(candidate: nir.NIRGraph, seed: int, chunk: int) -> None:
    simulator = simulator_or_none(candidate)
    assume(simulator is not None)
    assert simulator is not None
    x = torch.from_numpy(drive(seed, 7))
    whole = simulator.run(x, record="membrane")
    parts = simulator.run(x, record="membrane", chunk=chunk)
    torch.testing.assert_close(parts.output, whole.output, rtol=0, atol=1e-12)
    for name in simulator.spiking:
        assert torch.equal(parts.spikes[name], whole.spikes[name])
        assert torch.equal(whole.counts[name], whole.spikes[name].sum((0, 1), dtype=torch.float64))
        assert torch.equal(parts.counts[name], whole.counts[name])
        torch.testing.assert_close(parts.v[name], whole.v[name], rtol=0, atol=1e-12)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(graphs(loops=True), st.integers(0, 9))
def test_own_spikes_forced_change_nothing(candidate: nir.NIRGraph, seed: int) -> None:
    simulator = simulator_or_none(candidate)
    assume(simulator is not None)
    assert simulator is not None
    x = torch.from_numpy(drive(seed))
    free = simulator.run(x, record="membrane")
    clones = {step.clone_of for step in simulator.schedule.steps}
    forced = {name: spk for name, spk in free.spikes.items() if name not in clones}
    replay = simulator.run(x, record="membrane", forced=forced, chunk=4)
    torch.testing.assert_close(replay.output, free.output, rtol=0, atol=1e-12)
    for name, spk in free.spikes.items():
        assert torch.equal(replay.spikes[name], spk)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(graphs(loops=True))
def test_every_loop_has_a_delay_and_every_group_its_turn(candidate: nir.NIRGraph) -> None:
    simulator = simulator_or_none(candidate)
    assume(simulator is not None)
    assert simulator is not None
    done: set[str] = set()
    for group in simulator.schedule.groups:
        own = {step.name for step in group.steps}
        for step in group.steps:
            for source in step.sources:
                assert source.name in done or (source.delayed and source.name in own)
            done.add(step.name)
    assert set(simulator.flat.nodes) <= done


@pytest.mark.parametrize("seed", range(3))
def test_constant_input_equals_its_copies(seed: int) -> None:
    shape = SHAPE
    candidate = graph(
        {
            **ports(shape),
            "fc": affine([[1, 0.5], [-0.5, 1]], [0.25, 0]),
            "gate": nir.Threshold(full(shape, 0.3)),
            "lif": lif(),
            "back": nir.Scale(full(shape, -0.5)),
            "skip": nir.Scale(full(shape, 0.5)),
        },
        [
            ("input", "fc"),
            ("fc", "lif"),
            ("fc", "gate"),
            ("gate", "skip"),
            ("skip", "output"),
            ("lif", "output"),
            ("lif", "back"),
            ("back", "lif"),
            ("input", "output"),
        ],
    )
    simulator = Simulator(candidate, DT, torch.float64)
    sample = torch.from_numpy(drive(seed, 1))
    constant = sample.expand(9, *sample.shape[1:])
    for chunk in (None, 1, 4):
        fast = simulator.run(constant, record="membrane", chunk=chunk)
        slow = simulator.run(constant.contiguous(), record="membrane", chunk=chunk)
        assert torch.equal(fast.output, slow.output)
        for name in simulator.spiking:
            assert torch.equal(fast.spikes[name], slow.spikes[name])
            assert torch.equal(fast.counts[name], slow.counts[name])
            assert torch.equal(fast.v[name], slow.v[name])
