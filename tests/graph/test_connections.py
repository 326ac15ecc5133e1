"""Connections of a weight: every element, but for zeros that the node itself calls padding."""

from __future__ import annotations

import nir
import numpy as np
import pytest

from mpo_snn.graph.connections import (
    WRITTEN_OUT,
    connections,
    count_connections,
    move_to_graph,
    written_out,
)
from mpo_snn.graph.inline import inline


def conv(weight, metadata=None):
    zeros = np.zeros(len(weight))
    return nir.Conv2d((9, 9), weight, 1, 0, 1, 1, zeros, metadata=metadata or {})


def depthwise(channels=3):
    weight = np.zeros((channels, channels, 3, 3))
    weight[range(channels), range(channels)] = 1.0
    return weight


def test_without_a_word_every_element_is_one():
    for weight in (depthwise(), np.zeros((4, 2, 3, 3)), np.eye(4)[:, :, None, None]):
        assert connections(conv(weight)).all()
        assert count_connections(conv(weight)) == weight.size
    stacked = nir.Linear(np.zeros((2, 3, 4)))
    assert connections(stacked).shape == (2, 3, 4) and count_connections(stacked) == 24


def test_a_group_is_a_block_and_a_kernel_lies_in_the_middle():
    found = connections(conv(np.zeros((4, 2, 5, 5)), written_out(2, (1, 3))))
    expected = np.zeros((4, 2, 5, 5), dtype=bool)
    for out in range(4):
        expected[out, out // 2, 2, 1:4] = True
    np.testing.assert_array_equal(found, expected)
    matrix = nir.Linear(np.diag([1.0, 0.0, 2.0]), metadata=written_out(3, ()))
    np.testing.assert_array_equal(connections(matrix), np.eye(3, dtype=bool))


def test_zeros_inside_of_the_layer_stay_connections():
    weight = depthwise()
    weight[1], weight[0, 0, 0] = 0.0, 0.0
    assert count_connections(conv(weight, written_out(3, (3, 3)))) == 27
    assert count_connections(conv(0 * weight, written_out(3, (3, 3)))) == 27


@pytest.mark.parametrize(
    "told",
    [
        written_out(3, (1, 3)),  # the kernel is larger
        written_out(3, (2, 3)),  # has no middle
        written_out(3, (5, 5)),  # does not fit
        written_out(3, (3,)),
        written_out(2, (3, 3)),  # three channels do not divide
        written_out(0, (3, 3)),
        {WRITTEN_OUT: "3x3"},
        {WRITTEN_OUT: [3.0, 3.0, 3.0]},
        {WRITTEN_OUT: [True, 3, 3]},
        {WRITTEN_OUT: {"groups": 3}},
        {"of another program": [3, 3, 3]},
    ],
)
def test_a_word_that_is_not_true_is_none(told):
    assert count_connections(conv(depthwise(), told)) == 81


def test_a_weight_that_was_changed_since_is_dense():
    weight = depthwise()
    weight[0, 1, 1, 1] = 1e-30
    assert count_connections(conv(weight, written_out(3, (3, 3)))) == 81


def in_a_graph(node):
    ends = {"input": nir.Input(np.array([3, 9, 9])), "output": nir.Output(np.array([3, 7, 7]))}
    return nir.NIRGraph({**ends, "conv": node}, [("input", "conv"), ("conv", "output")])


def test_a_graph_says_it_for_its_nodes_also_within_another():
    inner = in_a_graph(conv(depthwise(), written_out(3, (3, 3))))
    move_to_graph(inner)
    assert inner.nodes["conv"].metadata == {} and WRITTEN_OUT in inner.metadata
    assert count_connections(inline(inner).nodes["conv"]) == 27
    assert inner.nodes["conv"].metadata == {}, "the graph itself stays as it is"
    outer = in_a_graph(inner)
    assert count_connections(inline(outer).nodes["conv.conv"]) == 27


@pytest.mark.parametrize("told", ["[", "[]", '{"conv": 3}', '{"gone": [3, 3, 3]}', "[" * 9999, 7])
def test_a_graph_that_says_nothing_of_use(told):
    graph = in_a_graph(conv(depthwise()))
    graph.metadata[WRITTEN_OUT] = told
    assert count_connections(inline(graph).nodes["conv"]) == 81
