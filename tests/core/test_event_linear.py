"""Events give what the dense product gives, and the sums of a slow loop in the order stated."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mpo_snn.kernels.event_conv import is_available
from mpo_snn.kernels.event_linear import EventLinear, depths
from tests.core.sparse_values import sparse

pytest.importorskip("numba", reason="numba is optional: pip install 'mpo-snn[fast]'")
if not is_available():
    pytest.skip("this processor has no fused multiply-add", allow_module_level=True)


def in_parts(x: Tensor, weight: Tensor, bias: Tensor, depth: int) -> Tensor:
    """The sums of `mpo_snn.kernels.event_linear`, input by input; products must be exact."""
    y = bias.expand(len(x), -1)
    for first in range(0, x.shape[1], depth):
        part = torch.zeros_like(y)
        for i in range(first, min(first + depth, x.shape[1])):
            part = part + x[:, i, None] * weight[:, i]
        y = y + part
    return y


@settings(deadline=None, max_examples=60)
@given(
    lines=st.sampled_from([(1,), (3,), (70,), (2, 5)]),
    inputs=st.sampled_from([1, 3, 16, 40, 64, 130]),
    outputs=st.sampled_from([1, 16, 24, 64, 70, 130]),
    density=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    grades=st.sampled_from([(1.0,), (0.25, 0.5, 2.0), (-1.0, 4.0)]),
    depth=st.integers(1, 140),
    threads=st.integers(1, 2),
    seed=st.integers(0, 999),
)
def test_sums_are_those_of_a_loop_in_the_order_stated(
    lines, inputs, outputs, density, grades, depth, threads, seed
):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(outputs, inputs, generator=generator)
    bias = torch.randn(outputs, generator=generator)
    x = sparse((*lines, inputs), density, seed, grades)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        y, found = EventLinear(weight, bias)(x, depth)
    finally:
        torch.set_num_threads(before)
    expected = in_parts(x.reshape(-1, inputs), weight, bias, depth)
    assert torch.equal(y, expected.reshape(*lines, outputs))
    assert found == int(x.count_nonzero())


@pytest.mark.parametrize("has_bias", [True, False])
def test_close_to_the_dense_product_whatever_the_order(has_bias):
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(100, 700, generator=generator)
    bias = torch.randn(100, generator=generator) if has_bias else None
    x = torch.rand(20, 700, generator=generator) * sparse((20, 700), 0.3, 1, (1.0,))
    for depth in depths(700):
        y, _ = EventLinear(weight, bias)(x, depth)
        torch.testing.assert_close(y, F.linear(x, weight, bias), rtol=1e-4, atol=1e-4)


def test_product_and_sum_are_rounded_once():
    weight, x = torch.tensor([[1.0, 1.0 + 2.0**-23]]), torch.tensor([[-1.0, 1.0 - 2.0**-24]])
    y, _ = EventLinear(weight, None)(x, 2)
    exact = weight.double() @ x.double().T  # float64 holds it to the last bit
    assert torch.equal(y, exact.float())


def test_orders_that_are_tried():
    assert depths(100) == [100]
    assert depths(256)[:2] == [256, 128]
    assert depths(1000)[:2] == [1000, 192]
    assert all(1 <= depth <= 1000 for depth in depths(1000))
    assert len(set(depths(1000))) == len(depths(1000))
