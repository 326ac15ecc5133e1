"""Events give what the dense convolution gives, and the sums of a slow loop in the order stated."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.graph.geometry import Window
from mpo_snn.graph.ops import operation
from mpo_snn.kernels.event_conv import EventConv, is_available
from tests.core.sparse_values import sparse

pytest.importorskip("numba", reason="numba is optional: pip install 'mpo-snn[fast]'")
if not is_available():
    pytest.skip("this processor has no fused multiply-add", allow_module_level=True)


@settings(deadline=None, max_examples=80)
@given(
    samples=st.integers(1, 3),
    channels=st.sampled_from([1, 3, 16, 20, 32, 64, 96]),
    outputs=st.sampled_from([1, 16, 24, 32, 40, 64, 70, 130]),
    groups=st.sampled_from([1, 1, 2, 4]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.one_of(st.just("same"), st.tuples(st.integers(0, 5), st.integers(0, 5))),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    density=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    grades=st.sampled_from([(1.0,), (0.25, 0.5, 0.75, 1.0), (-1.0, 3.0)]),
    threads=st.integers(1, 2),
    seed=st.integers(0, 999),
)
def test_every_bit_of_the_dense_convolution_where_sums_are_exact(
    samples, channels, outputs, groups, size, kernel, stride, padding, dilation, density, grades,
    threads, seed,
):  # fmt: skip
    channels, outputs = channels * groups, outputs * groups
    stride = (1, 1) if padding == "same" else stride
    window = Window(kernel, stride, padding, dilation, groups)
    if min(window.output_size(size)) < 1:
        return
    rng = np.random.default_rng(seed)
    weight = rng.integers(-64, 65, (outputs, channels // groups, *kernel)) / 64
    bias = rng.integers(-64, 65, outputs) / 64
    node = nir.Conv2d(size, weight, stride, padding, dilation, groups, bias)
    dense = operation(node, (channels, *size), torch.float64, torch.device("cpu"))
    events = EventConv(torch.tensor(weight).float(), torch.tensor(bias).float(), window)
    x = sparse((samples, channels, *size), density, seed, grades)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        y, found = events(x)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(y.double(), dense(x.double()))
    assert found == int(x.count_nonzero())
    assert y.permute(0, 2, 3, 1).is_contiguous()


@pytest.mark.parametrize("channels", [3, 32, 80])
@pytest.mark.parametrize("outputs", [24, 64])
def test_sums_of_any_weights_are_those_of_a_loop_in_the_order_stated(channels, outputs):
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(outputs, channels, 3, 3, generator=generator)
    bias = torch.randn(outputs, generator=generator)
    x = sparse((2, channels, 6, 6), 0.4, 5)
    y, _ = EventConv(weight, bias, Window((3, 3), (1, 1), (1, 1), (1, 1)))(x)
    padded, sums = F.pad(x, (1, 1, 1, 1)), torch.zeros_like(y)
    for row in range(3):
        for column in range(3):
            for channel in range(channels):
                window = padded[:, channel, None, row : row + 6, column : column + 6]
                sums += window * weight[:, channel, row, column, None, None]
    assert torch.equal(y, sums + bias[:, None, None])


def test_product_and_sum_are_rounded_once():
    weight = torch.tensor([1.0, 1.0 + 2.0**-23]).reshape(1, 2, 1, 1)
    x = torch.tensor([-1.0, 1.0 - 2.0**-24]).reshape(1, 2, 1, 1)
    y, _ = EventConv(weight, torch.zeros(1), Window((1, 1), (1, 1), (0, 0), (1, 1)))(x)
    # with two roundings, the product would be 1.0 and the sum nothing
    assert float(y) == float(-1 + (1 + 2.0**-23) * (1 - 2.0**-24))


def test_a_line_is_an_image_of_one_row():
    weight, bias = torch.ones(32, 16, 3) / 4, torch.zeros(32)
    window = Window((1, 3), (1, 2), (0, 1), (1, 1))
    x = sparse((2, 16, 9), 0.3, 1)
    y, found = EventConv(weight.unsqueeze(2), bias, window)(x)
    assert torch.equal(y, F.conv1d(x, weight, bias, stride=2, padding=1))
    assert found == int(x.sum())
