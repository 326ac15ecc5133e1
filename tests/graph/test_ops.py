"""The stateless kinds against torch and plain numpy, and their shapes against what comes out."""

from __future__ import annotations

import warnings
from typing import Any

import nir
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mpo_snn.graph.inline import inline
from mpo_snn.graph.shapes import infer_shapes
from mpo_snn.graph.simulate import Simulator
from tests.graph.graphs import DT, chain, full

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


def run(node: Any, x: torch.Tensor, output: tuple[int, ...]) -> torch.Tensor:
    """Run a single node, in float64, and check the shape that was inferred for it."""
    graph = chain(tuple(x.shape[2:]), output, n=node)
    assert infer_shapes(inline(graph)).outputs["n"] == output
    return Simulator(graph, DT, torch.float64).run(x).output


def draw_input(*shape: int) -> torch.Tensor:
    return torch.randn(
        2, 3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    kernel=PAIR,
    stride=PAIR,
    padding=st.one_of(
        st.tuples(st.integers(0, 2), st.integers(0, 2)), st.sampled_from(["same", "valid"])
    ),
    dilation=PAIR,
    groups=st.sampled_from([1, 2, 4]),
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    as_array=st.booleans(),
)
def test_conv2d_equals_torch(
    kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int, size: Any, as_array: bool
) -> None:
    if padding == "same":
        stride = (1, 1)
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(8, 4 // groups, *kernel))
    bias = rng.normal(size=8)
    x = draw_input(4, *size)
    assume(all(n > d * (k - 1) for n, d, k in zip(size, dilation, kernel, strict=True)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that "same" may cost a copy
        expected = F.conv2d(
            x.flatten(0, 1),
            torch.from_numpy(weight),
            torch.from_numpy(bias),
            stride,
            padding,
            dilation,
            groups,
        )
    listed = np.array if as_array else tuple
    node = nir.Conv2d(
        size if as_array else None,
        weight,
        listed(stride),
        padding if isinstance(padding, str) else listed(padding),
        listed(dilation),
        groups,
        bias,
    )
    output = run(node, x, tuple(expected.shape[1:]))
    torch.testing.assert_close(output.flatten(0, 1), expected)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.one_of(st.integers(0, 2), st.sampled_from(["same", "valid"])),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2]),
    size=st.integers(5, 8),
)
def test_conv1d_equals_torch(
    kernel: int, stride: int, padding: Any, dilation: int, groups: int, size: int
) -> None:
    if padding == "same":
        stride = 1
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(4, 2 // groups, kernel)), rng.normal(size=4)
    x = draw_input(2, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = F.conv1d(
            x.flatten(0, 1),
            torch.from_numpy(weight),
            torch.from_numpy(bias),
            stride,
            padding,
            dilation,
            groups,
        )
    node = nir.Conv1d(size, weight, stride, padding, dilation, groups, bias)
    output = run(node, x, tuple(expected.shape[1:]))
    torch.testing.assert_close(output.flatten(0, 1), expected)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    kernel=PAIR,
    stride=PAIR,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    size=st.tuples(st.integers(3, 7), st.integers(3, 7)),
)
def test_pools_equal_a_loop_over_windows(kernel: Any, stride: Any, padding: Any, size: Any) -> None:
    x = draw_input(2, *size)
    (p, q), (k, m), (s, u) = padding, kernel, stride
    padded = np.pad(x.numpy(), [(0, 0)] * 3 + [(p, p), (q, q)])
    rows = range(0, padded.shape[3] - k + 1, s)
    columns = range(0, padded.shape[4] - m + 1, u)
    sums = np.array(
        [[padded[..., i : i + k, j : j + m].sum((-2, -1)) for j in columns] for i in rows]
    ).transpose(2, 3, 4, 0, 1)
    fields = [np.array(field) for field in (kernel, stride, padding)]
    summed = run(nir.SumPool2d(*fields), x, sums.shape[2:])
    np.testing.assert_allclose(summed, sums, atol=1e-12)
    averaged = run(nir.AvgPool2d(*fields), x, sums.shape[2:])
    np.testing.assert_allclose(averaged, sums / (k * m), atol=1e-12)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, -1, (24,)),
        (1, -1, (2, 12)),
        (0, 1, (6, 4)),
        (0, -2, (6, 4)),
        (1, 1, (2, 3, 4)),
        (-2, -1, (2, 12)),
    ],
)
def test_flatten_counts_axes_without_batch(start: int, end: int, expected: tuple[int, ...]) -> None:
    x = draw_input(2, 3, 4)
    output = run(nir.Flatten({"input": np.array([2, 3, 4])}, start, end), x, expected)
    assert torch.equal(output, x.reshape(2, 3, *expected))


def test_affine_and_linear_multiply_the_last_axis() -> None:
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(4, 3)), rng.normal(size=4)
    x = draw_input(3)
    expected = x.numpy() @ weight.T
    np.testing.assert_allclose(run(nir.Linear(weight), x, (4,)), expected)
    np.testing.assert_allclose(run(nir.Affine(weight, bias), x, (4,)), expected + bias)


@pytest.mark.parametrize("bias_shape", [(5, 4), (4,)])
def test_a_weight_with_more_axes_holds_one_matrix_for_each(bias_shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(5, 4, 3)), rng.normal(size=bias_shape)
    x = draw_input(5, 3)
    expected = np.einsum("koi,tbki->tbko", weight, x.numpy())
    np.testing.assert_allclose(run(nir.Linear(weight), x, (5, 4)), expected)
    np.testing.assert_allclose(run(nir.Affine(weight, bias), x, (5, 4)), expected + bias)


def test_scale_multiplies_each_element() -> None:
    x = draw_input(2, 3)
    scale = np.arange(6.0).reshape(2, 3)
    assert torch.equal(run(nir.Scale(scale), x, (2, 3)), x * torch.from_numpy(scale))
    assert torch.equal(run(nir.Scale(np.array(3.0)), x, (2, 3)), x * 3)


def test_later_changes_of_the_graph_have_no_effect() -> None:
    scale = full((2,), 2.0)
    graph = chain((2,), n=nir.Scale(scale))
    simulator = Simulator(graph, DT)
    scale *= 0
    assert simulator.run(torch.ones(1, 1, 2)).output.tolist() == [[[2, 2]]]
