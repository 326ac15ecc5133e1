"""Graphs with drawn skips and feedback, counted spike by spike in a simulation of the test's own.

Three layers of neurons a, b, c stand one behind the other. Wires are drawn beside: from any layer
to any other, or to itself, plain, through a convolution, or through a pool and a convolution. A
wire that leads back brings the spikes of the timestep before. All weights are eighths and no
average is over three, so that sums are exact in any order and any precision.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import Any

import nir
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.data.dataset import Dataset
from mpo_snn.evaluation.evaluate import evaluate_graph
from mpo_snn.evaluation.setting import Setting

DT, TIMESTEPS, SAMPLES, CLASSES = 1e-4, 4, 3, 3
INPUT = (1, 6, 4)
THRESHOLD = 0.3


@dataclass(frozen=True)
class Part:
    """A node, its matrix, and for each input element the outputs that it meets, with weights."""

    node: Any = field(repr=False)
    matrix: np.ndarray = field(repr=False)
    meets: list[list[tuple[int, float]]] = field(repr=False)
    shape: tuple[int, ...]

    def uses(self, element, zeros):
        return sum(zeros or weight != 0 for _, weight in self.meets[element])


def convolution(weight, shape, stride=1, padding=0, dilation=1, groups=1):
    """Every use of every weight, one by one."""
    outs, ins, *kernel = weight.shape
    size = tuple(
        (n + 2 * padding - dilation * (k - 1) - 1) // stride + 1
        for n, k in zip(shape[1:], kernel, strict=True)
    )
    matrix = np.zeros((outs, *size, *shape))
    meets = [[] for _ in range(int(np.prod(shape)))]
    places = product(range(outs), range(ins), *map(range, size), *map(range, kernel))
    for out, into, i, j, row, column in places:
        channel = out // (outs // groups) * ins + into
        y, x = (at * stride - padding + tap * dilation for at, tap in ((i, row), (j, column)))
        if 0 <= y < shape[1] and 0 <= x < shape[2]:
            value = weight[out, into, row, column]
            matrix[out, i, j, channel, y, x] += value
            target = np.ravel_multi_index((out, i, j), (outs, *size))
            meets[np.ravel_multi_index((channel, y, x), shape)].append((int(target), value))
    node = nir.Conv2d(shape[1:], weight, stride, padding, dilation, groups, np.zeros(outs))
    return Part(node, matrix.reshape(outs * size[0] * size[1], -1), meets, (outs, *size))


def pool(kind, shape, kernel, stride, padding):
    fields = (np.full(2, value) for value in (kernel, stride, padding))
    share = 1.0 if kind is nir.SumPool2d else 1 / kernel**2
    weight = np.full((shape[0], 1, kernel, kernel), share)
    slow = convolution(weight, shape, stride, padding, groups=shape[0])
    return Part(kind(*fields), slow.matrix, slow.meets, slow.shape)


@dataclass(frozen=True)
class Wire:
    source: str
    target: str
    pool: Part | None = None
    synapse: Part | None = None

    @property
    def is_late(self):
        return self.source >= self.target

    def names(self):
        """Of its nodes, in order."""
        parts = {"pool": self.pool, "synapse": self.synapse}
        return {f"{self.source}{self.target}_{k}": p for k, p in parts.items() if p is not None}

    def carry(self, spikes):
        for part in self.names().values():
            spikes = spikes @ part.matrix.T
        return spikes


# --- drawing --------------------------------------------------------------------------------


def draw_convolution(draw, shape, channels, stride, kernels=(1, 3)):
    """One that keeps height and width, but for the stride."""
    kernel, dilation = draw(st.sampled_from(kernels)), draw(st.integers(1, 2))
    groups = draw(st.sampled_from((1, 2) if shape[0] % 2 == channels % 2 == 0 else (1,)))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    weight = rng.integers(-4, 7, size=(channels, shape[0] // groups, kernel, kernel)) / 8
    weight[rng.random(weight.shape) < draw(st.sampled_from((0.0, 0.5)))] = 0.0
    padding = dilation * (kernel // 2)
    return convolution(weight, shape, stride, padding, dilation, groups)


def draw_wire(draw, source, target, shapes, stride):
    before, after = shapes[source], shapes[target]
    ways = ["synapse", "pool"] + 2 * ["plain"] * (before == after)
    way = draw(st.sampled_from(ways))
    if way == "plain":
        return Wire(source, target)
    if way == "synapse":
        return Wire(source, target, None, draw_convolution(draw, before, after[0], stride))
    first = pool(nir.SumPool2d, before, 3, stride, 1)
    halves = stride == 2 and all(n % 2 == 0 for n in before[1:])
    if halves and draw(st.booleans()):
        first = pool(nir.AvgPool2d, before, 2, 2, 0)
    return Wire(source, target, first, draw_convolution(draw, first.shape, after[0], 1, (1,)))


@st.composite
def drawn_wires(draw):
    """The chain from the input over a and b to c, and what is drawn beside it."""
    strides = {"a": 1, "b": draw(st.integers(1, 2)), "c": draw(st.integers(1, 2))}
    shapes, chain, before = {"input": INPUT}, [], "input"
    for name, stride in strides.items():
        channels = draw(st.sampled_from((2, 4)))
        part = draw_convolution(draw, shapes[before], channels, stride, (3,))
        chain.append(Wire(before, name, None, part))
        shapes[name], before = part.shape, name
    pairs = [
        (source, target)
        for source, target in product("abc", repeat=2)
        if source < target or shapes[source][1:] == shapes[target][1:]
    ]
    pairs = [one for one in pairs if one not in (("a", "b"), ("b", "c"))]
    beside = draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=4, unique=True))
    for source, target in beside:
        between = [strides[name] for name in "abc" if source < name <= target]
        chain.append(draw_wire(draw, source, target, shapes, int(np.prod(between))))
    return chain


def graph_of(wires, head):
    nodes = {"input": nir.Input(np.array(INPUT))}
    edges = []
    for wire in wires:
        if wire.target not in nodes:
            one = np.ones(next(w.synapse.shape for w in wires if w.target == wire.target))
            fields = {"tau": 2 * DT * one, "r": one, "v_leak": 0 * one, "v_reset": 0 * one}
            nodes[wire.target] = nir.LIF(**fields, v_threshold=THRESHOLD * one)
        nodes |= {name: part.node for name, part in wire.names().items()}
        edges += pairwise([wire.source, *wire.names(), wire.target])
    nodes["flat"] = nir.Flatten({"input": np.array(nodes["c"].tau.shape)}, start_dim=0)
    nodes |= {"head": nir.Linear(head), "output": nir.Output(np.array([CLASSES]))}
    return nir.NIRGraph(
        nodes, [*edges, *pairwise(("c", "flat", "head", "output"))], type_check=False
    )


# --- the slow way ---------------------------------------------------------------------------


def spikes_of(wires, x):
    """How often each neuron fires, (samples, neurons), by layer."""
    fired = {w.target: np.zeros((len(x), w.synapse.matrix.shape[0])) for w in wires[:3]}
    v, counts = {k: 0 * one for k, one in fired.items()}, {k: 0 * one for k, one in fired.items()}
    for _ in range(TIMESTEPS):
        before = dict(fired)
        for name in "abc":
            arriving = 0.0
            for wire in (one for one in wires if one.target == name):
                spikes = before if wire.is_late else fired
                arriving += wire.carry(x if wire.source == "input" else spikes[wire.source])
            moved = v[name] + (arriving - v[name]) / 2
            fired[name] = (moved > THRESHOLD) * 1.0
            v[name] = np.where(moved > THRESHOLD, 0.0, moved)
            counts[name] = counts[name] + fired[name]
    return counts


def slow_counts(wires, head, spikes):
    """Synapses without and with those of weight 0, and additions, spike by spike."""
    synops, dense, additions = Counter(), Counter(), Counter()
    for layer, counts in spikes.items():
        for element in np.repeat(np.nonzero(counts)[1], counts[counts > 0].astype(int)):
            for wire in (one for one in wires if one.source == layer):
                places = [element]
                if wire.pool is not None:
                    places = [place for place, _ in wire.pool.meets[element]]
                    additions[f"{layer}{wire.target}_pool"] += len(places)
                if wire.synapse is None:
                    additions[wire.target] += 1
                    continue
                for place in places:
                    synops[f"{layer}{wire.target}_synapse"] += wire.synapse.uses(place, False)
                    dense[f"{layer}{wire.target}_synapse"] += wire.synapse.uses(place, True)
            if layer == "c":
                synops["head"] += int((head[:, element] != 0).sum())
                dense["head"] += CLASSES
    return synops, dense, additions


@settings(max_examples=60, deadline=None, derandomize=True)
@given(drawn_wires(), st.integers(0, 2**16))
def test_every_count_is_that_of_the_slow_loop(wires, seed):
    rng = np.random.default_rng(seed)
    head = rng.integers(-3, 4, size=(CLASSES, wires[2].synapse.matrix.shape[0])) / 8
    x = rng.integers(0, 9, size=(SAMPLES, *INPUT)) / 8
    images, labels = torch.from_numpy(x).float(), torch.arange(SAMPLES) % CLASSES
    dataset = Dataset("drawn", images, labels, images, labels, tuple("xyz"), "eighths")
    setting = Setting("drawn", TIMESTEPS, DT, "direct", "mean", batch_size=2)
    found = evaluate_graph(graph_of(wires, head), dataset, setting)

    spikes = spikes_of(wires, x.reshape(SAMPLES, -1))
    assert {k: one.flatten().tolist() for k, one in found.activity.spike_counts.items()} == {
        k: one.sum(0).tolist() for k, one in spikes.items()
    }
    synops, dense, additions = slow_counts(wires, head, spikes)
    fed = {name: one for name, one in found.synapses.items() if name != "inputa_synapse"}
    assert {name: one.synops for name, one in fed.items()} == {n: synops[n] for n in fed}
    assert {name: one.synops_dense for name, one in fed.items()} == {n: dense[n] for n in fed}
    assert set(synops) <= set(fed)
    assert Counter({one.name: one.count for one in found.additions}) == additions
    for wire in wires:
        if wire.synapse is not None:
            one = found.synapses[f"{wire.source}{wire.target}_synapse"]
            assert one.dense_mac == sum(map(len, wire.synapse.meets))
            role = "graded" if wire.pool is not None else "spikes"
            assert one.input_role == ("analog" if wire.source == "input" else role)
