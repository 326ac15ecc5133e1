"""Synapse memory and axons of a core: by hand, as nengo-loihi says, and by counting synapses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.deploy.layers import INPUT, Projection
from mpo_snn.deploy.loihi_memory import core_memory, index_bits, list_words
from mpo_snn.deploy.loihi_tiles import Tile, pixels_reached, solid, tilings

from .loihi_graphs import layer


def convolution(channels, height, width, filters, side, stride=1, padding=0, pool=1):
    rows, columns = ((n // pool + 2 * padding - side) // stride + 1 for n in (height, width))
    return Projection(
        INPUT, "conv", "convolution", torch.ones(filters, channels, side, side).double(),
        (channels, height, width), (filters, rows, columns),
        pool=(pool, pool), stride=(stride, stride), padding=(padding, padding),
    )  # fmt: skip


def whole(projection):
    c, h, w = solid(projection.output_shape)
    return Tile((0, c), (0, h), (0, w))


@pytest.mark.parametrize(
    ("synapses", "bits", "words"),
    [
        (0, 8, 0),
        (1, 8, 1),  # 18 bits
        (6, 8, 1),  # 58
        (7, 8, 2),  # 66
        (64, 8, 9),  # 522
        (65, 8, 10),  # 522, 18
        (128, 8, 18),
        (10, 18, 3),  # 190
    ],
)
def test_words_of_a_list_by_hand(synapses, bits, words):
    assert list_words(np.array(synapses), bits) == words


@pytest.mark.parametrize(
    ("arguments", "words", "axons"),
    [
        ((2, 8, 8, 3, 3), 124, 64),
        ((4, 16, 16, 8, 3, 1, 1), 1750, 256),
        ((3, 12, 10, 5, 5, 2), 596, 99),
        ((4, 16, 16, 4, 1), 20, 256),
        ((2, 9, 9, 4, 3, 2), 50, 81),
    ],
)
def test_convolutions_as_nengo_loihi_has_them(arguments, words, axons):
    """Synapse.bits() / 64 and used axons of nengo-loihi 1.1.0, conv2d_loihi_weights."""
    projection = convolution(*arguments)
    memory = core_memory(projection, whole(projection), 8)
    assert (memory.words, memory.axons) == (words, axons)


def test_dense_lists_name_their_targets_where_that_is_less():
    weight = torch.ones(100, 30, dtype=torch.float64)
    full = Projection(INPUT, "fc", "dense", weight, (30,), (100,))
    tile = Tile((0, 100), (0, 1), (0, 1))
    assert core_memory(full, tile, 8).words == 30 * (9 + 5)  # 64 and 36 synapses of 8 bits
    pruned = torch.zeros_like(weight)
    pruned[:3, :20] = 1
    sparse = Projection(INPUT, "fc", "dense", pruned, (30,), (100,))
    memory = core_memory(sparse, tile, 8)
    assert memory.axons == 20
    assert memory.words == 20 * 1  # 3 synapses of 8 + 7 bits and 10 bits
    assert index_bits(100) == 7 and index_bits(1) == 0 and index_bits(2) == 6


def test_a_pooling_window_shares_its_list_but_not_its_axons():
    weight = torch.ones(5, 8, dtype=torch.float64)
    pooled = Projection(INPUT, "fc", "dense", weight, (2, 4, 4), (5,), pool=(2, 2))
    memory = core_memory(pooled, Tile((0, 5), (0, 1), (0, 1)), 8)
    assert (memory.axons, memory.words) == (32, 8)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    side=st.integers(1, 3),
    stride=st.integers(1, 2),
    padding=st.integers(0, 1),
    pool=st.integers(1, 2),
    data=st.data(),
)
def test_axons_are_the_pixels_that_reach_a_block(size, side, stride, padding, pool, data):
    """Counted by tracing which inputs change an output of the block."""
    if min(size) // pool + 2 * padding < side:
        return
    projection = convolution(1, *size, 2, side, stride, padding, pool)
    ranges = []
    for n in projection.output_shape:
        first = data.draw(st.integers(0, n - 1))
        ranges.append((first, data.draw(st.integers(first + 1, n))))
    tile = Tile(*ranges)
    x = torch.zeros(1, 1, *size, dtype=torch.float64, requires_grad=True)
    pooled = torch.nn.functional.avg_pool2d(x, pool, divisor_override=1)
    out = torch.nn.functional.conv2d(pooled, projection.weight, None, stride, padding)[0]
    (reached,) = torch.autograd.grad(out[tile.slices].sum(), x)
    count = int((reached != 0).sum())
    assert core_memory(projection, tile, 8).axons == count
    everything = Tile((0, 1), (0, size[0]), (0, size[1]))
    whole_count = pixels_reached(projection, tile, everything)
    assert whole_count == count if stride <= side else whole_count >= count


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    shape=st.one_of(
        st.tuples(st.integers(1, 40)),
        st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)),
    ),
    most=st.integers(1, 20),
)
def test_tilings_cover_every_neuron_once_and_grow(shape, most):
    before = 0
    for tiles in tilings(layer("one", shape), most):
        covered = torch.zeros(solid(shape))
        for tile in tiles:
            assert tile.size <= most
            covered[tile.slices] += 1
        assert bool((covered == 1).all())
        assert len(tiles) >= before
        before = len(tiles)
    assert before == torch.Size(shape).numel()  # the last one is neuron by neuron
