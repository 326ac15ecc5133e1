"""Operations against slow loops over every spike and every synapse, with their own geometry."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import nir
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.errors import GraphError
from mpo_snn.evaluation.fanout import synaptic_fan_out
from mpo_snn.evaluation.roles import assign_roles
from mpo_snn.evaluation.synops import count_additions, count_synapses
from mpo_snn.graph.inline import FlatGraph
from mpo_snn.graph.shapes import infer_shapes

TIMESTEPS = 3


def lif(*shape):
    one = np.ones(shape)
    return nir.LIF(tau=one, r=one, v_leak=0 * one, v_threshold=one, v_reset=0 * one)


def conv2d(weight, stride=1, padding=0, dilation=1, groups=1):
    return nir.Conv2d(None, weight, stride, padding, dilation, groups, np.zeros(weight.shape[0]))


def graph(nodes, *chains):
    """A flat graph of nodes and chains of edges such as "a b c"."""
    edges = [edge for chain in chains for edge in itertools.pairwise(chain.split())]
    nodes = {name: node for name, node in nodes.items()}
    inputs = [name for name, node in nodes.items() if isinstance(node, nir.Input)]
    outputs = [name for name, node in nodes.items() if isinstance(node, nir.Output)]
    return FlatGraph(nodes, edges, inputs, outputs)


def count(flat, spikes):
    shapes = infer_shapes(flat).outputs
    roles = assign_roles(flat)
    spikes = {name: torch.from_numpy(np.asarray(n, dtype=np.float64)) for name, n in spikes.items()}
    counts = count_synapses(flat, roles, shapes, spikes, TIMESTEPS, constant_input=True)
    additions = count_additions(flat, roles, shapes, spikes)
    return SimpleNamespace(
        nodes={one.name: one for one in counts}, additions={one.name: one for one in additions}
    )


# --- the slow loops -------------------------------------------------------------------------


def positions(size, kernel, stride, padding, dilation=1):
    """Per axis: for each place of the kernel, the input index under each of its elements."""
    places = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    return [[p * stride - padding + dilation * k for k in range(kernel)] for p in range(places)]


def windows_over(y, x, size, kernel, stride, padding):
    rows = positions(size[0], kernel, stride, padding)
    columns = positions(size[1], kernel, stride, padding)
    return [
        (i, j)
        for i, row in enumerate(rows)
        if y in row
        for j, col in enumerate(columns)
        if x in col
    ]


def synapses_of(c, y, x, size, weight, stride, padding, dilation, groups, zeros_count):
    """Every use of a weight by one input element, one by one."""
    per_group_in = weight.shape[1]
    per_group_out = weight.shape[0] // groups
    rows = positions(size[0], weight.shape[2], stride, padding, dilation)
    columns = positions(size[1], weight.shape[3], stride, padding, dilation)
    uses = 0
    for out in range(weight.shape[0]):
        if out // per_group_out != c // per_group_in:
            continue
        for row in rows:
            for ky, at_y in enumerate(row):
                for column in columns:
                    for kx, at_x in enumerate(column):
                        if (at_y, at_x) == (y, x):
                            w = weight[out, c % per_group_in, ky, kx]
                            uses += 1 if zeros_count or w != 0 else 0
    return uses


def every_spike(counts):
    for index in np.ndindex(counts.shape):
        for _ in range(int(counts[index])):
            yield index


# --- random graphs --------------------------------------------------------------------------


@st.composite
def convolutions(draw, channels):
    groups = draw(st.sampled_from([g for g in (1, 2, 4) if channels % g == 0]))
    kernel = draw(st.integers(1, 3))
    weight = draw_weight(
        draw, (groups * draw(st.integers(1, 2)), channels // groups, kernel, kernel)
    )
    return {
        "weight": weight,
        "stride": draw(st.integers(1, 3)),
        "padding": draw(st.integers(0, 2)),
        "dilation": draw(st.integers(1, 2)),
        "groups": groups,
    }


def draw_weight(draw, shape):
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    weight = rng.normal(size=shape)
    weight[rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 1.0]))] = 0.0
    return weight


def draw_spikes(draw, shape):
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    return rng.integers(0, 3, size=shape)


def fits(size, conv):
    reach = conv["dilation"] * (conv["weight"].shape[2] - 1) + 1
    return min(size) + 2 * conv["padding"] >= reach


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_convolution_equals_the_loop(data):
    channels = data.draw(st.sampled_from([1, 2, 4]))
    size = (data.draw(st.integers(3, 6)), data.draw(st.integers(3, 6)))
    conv = data.draw(convolutions(channels).filter(lambda c: fits(size, c)))
    spikes = draw_spikes(data.draw, (channels, *size))
    flat = graph(
        {"in": nir.Input((channels, *size)), "lif": lif(channels, *size), "conv": conv2d(**conv)},
        "in lif conv",
    )
    node = count(flat, {"lif": spikes}).nodes["conv"]
    loop = {
        zeros: sum(
            synapses_of(*spike, size, **conv, zeros_count=zeros) for spike in every_spike(spikes)
        )
        for zeros in (False, True)
    }
    assert node.synops == loop[False]
    assert node.synops_dense == loop[True]
    assert node.input_role == "spikes"
    assert node.zero_weights == int((conv["weight"] == 0).sum())
    assert node.dense_mac == sum(
        synapses_of(*at, size, **conv, zeros_count=True) for at in np.ndindex(channels, *size)
    )


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_overlapping_pools_scale_and_sum_before_a_convolution(data):
    """lif a (pooled) and lif b (scaled, pooled) meet in a sum in front of a convolution."""
    size = (data.draw(st.integers(4, 6)), data.draw(st.integers(4, 6)))
    pool = {
        "kernel": data.draw(st.integers(1, 3)),
        "stride": data.draw(st.integers(1, 2)),
        "padding": data.draw(st.integers(0, 1)),
    }
    pooled = tuple(len(positions(n, **pool)) for n in size)
    conv = data.draw(convolutions(2).filter(lambda c: fits(pooled, c)))
    fields = {name: np.full(2, value) for name, value in pool.items() if name != "kernel"}
    average = nir.AvgPool2d(kernel_size=np.full(2, pool["kernel"]), **fields)
    total = nir.SumPool2d(kernel_size=np.full(2, pool["kernel"]), **fields)
    spikes = {name: draw_spikes(data.draw, (2, *size)) for name in "ab"}
    flat = graph(
        {
            "in": nir.Input((2, *size)),
            "a": lif(2, *size),
            "b": lif(2, *size),
            "scale": nir.Scale(np.full((2, *size), 0.37)),
            "average": average,
            "total": total,
            "conv": conv2d(**conv),
        },
        "in a average conv",
        "in b scale total conv",
    )
    found = count(flat, spikes)
    loop = {False: 0, True: 0}
    pool_loop = 0
    for c, y, x in (spike for counts in spikes.values() for spike in every_spike(counts)):
        windows = windows_over(y, x, size, **pool)
        pool_loop += len(windows)
        for zeros in loop:
            loop[zeros] += sum(
                synapses_of(c, *at, pooled, **conv, zeros_count=zeros) for at in windows
            )
    assert found.nodes["conv"].input_role == "graded"
    assert found.nodes["conv"].synops == loop[False]
    assert found.nodes["conv"].synops_dense == loop[True]
    assert found.additions["average"].count + found.additions["total"].count == pool_loop
    assert set(found.nodes["conv"].sources) == {"a", "b"}


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_dense_layer_after_pool_and_flatten(data):
    kernel = data.draw(st.integers(1, 3))
    spikes = draw_spikes(data.draw, (2, 4, 4))
    pool = {"kernel": kernel, "stride": data.draw(st.integers(1, 2)), "padding": 0}
    places = len(positions(4, **pool))
    weight = draw_weight(data.draw, (3, 2 * places * places))
    flat = graph(
        {
            "in": nir.Input((2, 4, 4)),
            "lif": lif(2, 4, 4),
            "pool": nir.SumPool2d(
                kernel_size=np.full(2, kernel),
                stride=np.full(2, pool["stride"]),
                padding=np.zeros(2),
            ),
            "flatten": nir.Flatten({"input": np.array([2, places, places])}, start_dim=0),
            "fc": nir.Affine(weight, np.zeros(3)),
        },
        "in lif pool flatten fc",
    )
    loop = 0
    for c, y, x in every_spike(spikes):
        for i, j in windows_over(y, x, (4, 4), **pool):
            loop += int((weight[:, (c * places + i) * places + j] != 0).sum())
    assert count(flat, {"lif": spikes}).nodes["fc"].synops == loop


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [2, 3])
def test_conv1d_with_named_padding(padding, kernel):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(3, 2, kernel))
    weight[0, 0, 0] = 0.0
    conv = nir.Conv1d(None, weight, 1, padding, 1, 1, np.zeros(3))
    spikes = rng.integers(0, 3, size=(2, 6))
    flat = graph({"in": nir.Input((2, 6)), "lif": lif(2, 6), "conv": conv}, "in lif conv")
    before = (kernel - 1) // 2 if padding == "same" else 0
    places = 6 if padding == "same" else 6 - kernel + 1
    loop = 0
    for c, x in every_spike(spikes):
        for place, k in itertools.product(range(places), range(kernel)):
            if place - before + k == x:
                loop += int((weight[:, c, k] != 0).sum())
    assert count(flat, {"lif": spikes}).nodes["conv"].synops == loop


def test_stacked_matrices_have_one_fan_out_per_row():
    weight = np.ones((2, 3, 4))
    weight[1, :, 0] = 0.0
    each = synaptic_fan_out(nir.Linear(weight), (2, 4), "nonzero")
    assert each.tolist() == [[3, 3, 3, 3], [0, 3, 3, 3]]


# --- single facts ---------------------------------------------------------------------------


def small(weight=None):
    weight = np.ones((1, 1, 3, 3)) if weight is None else weight
    return graph(
        {"in": nir.Input((1, 4, 4)), "lif": lif(1, 4, 4), "conv": conv2d(weight, padding=1)},
        "in lif conv",
    )


def test_zero_spikes_cost_nothing():
    node = count(small(), {"lif": np.zeros((1, 4, 4))}).nodes["conv"]
    assert (node.synops, node.synops_dense, node.mac_once, node.mac_every_step) == (0, 0, 0, 0)


@pytest.mark.parametrize(("at", "synapses"), [((0, 0, 0), 4), ((0, 0, 1), 6), ((0, 1, 1), 9)])
def test_one_spike_at_corner_border_and_inside(at, synapses):
    spikes = np.zeros((1, 4, 4))
    spikes[at] = 1
    assert count(small(), {"lif": spikes}).nodes["conv"].synops == synapses


def test_pruned_to_nothing():
    node = count(small(np.zeros((1, 1, 3, 3))), {"lif": np.ones((1, 4, 4))}).nodes["conv"]
    assert (node.synops, node.synops_dense, node.zero_weights) == (0, 100, 9)


def test_analog_input_costs_macs_once_or_at_every_step():
    flat = graph(
        {
            "in": nir.Input((4,)),
            "first": nir.Linear(np.ones((3, 4))),
            "second": nir.Linear(np.ones((2, 3))),
            "li": nir.LI(tau=np.ones(2), r=np.ones(2), v_leak=np.zeros(2)),
            "third": nir.Linear(np.ones((5, 2))),
        },
        "in first second li third",
    )
    nodes = count(flat, {}).nodes
    assert [nodes[name].mac_once for name in ("first", "second", "third")] == [12, 6, 30]
    assert [nodes[name].mac_every_step for name in nodes] == [36, 18, 30]
    assert all(node.synops == 0 and node.input_role == "analog" for node in nodes.values())


def test_skip_connection_and_recurrence_are_additions_not_synapses():
    flat = graph(
        {
            "in": nir.Input((3,)),
            "a": lif(3),
            "fc": nir.Linear(np.ones((3, 3))),
            "b": lif(3),
            "rec": nir.Linear(np.ones((3, 3))),
        },
        "in a fc b rec b",
        "a b",
    )
    found = count(flat, {"a": [1, 0, 2], "b": [0, 5, 0]})
    assert found.nodes["fc"].synops == 9
    assert found.nodes["rec"].synops == 15
    assert found.additions["b"].count == 3
    assert found.additions["b"].kind == "skip"


def test_subtractive_reset_is_no_signal():
    one = np.ones(3)
    flat = graph(
        {
            "in": nir.Input((3,)),
            "fc0": nir.Linear(np.ones((3, 3))),
            "lif.membrane": nir.LI(tau=one, r=one, v_leak=0 * one),
            "lif": nir.Threshold(one),
            "lif.reset": nir.Scale(-one),
            "fc": nir.Linear(np.ones((2, 3))),
        },
        "in fc0 lif.membrane lif fc",
        "lif lif.reset lif.membrane",
    )
    found = count(flat, {"lif": [1, 1, 0]})
    assert found.nodes["fc"].synops == 4
    assert found.additions == {}


def test_spikes_that_circle_without_a_neuron_are_refused():
    flat = graph(
        {
            "in": nir.Input((2,)),
            "lif": lif(2),
            "delay": nir.Delay(np.ones(2)),
            "scale": nir.Scale(np.ones(2)),
            "fc": nir.Linear(np.ones((2, 2))),
        },
        "in lif delay scale fc",
        "scale delay",
    )
    with pytest.raises(GraphError, match=r"reach 'fc'.*delay.*contains no neuron"):
        count(flat, {"lif": [1, 1]})
