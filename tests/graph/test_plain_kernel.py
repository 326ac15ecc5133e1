"""Kernels written out: torch's convolution of the plain one is that of the grouped and dilated."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mpo_snn.graph.plain_kernel import undilated, ungrouped


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 1), (2, 3)])
def test_the_plain_kernel_does_the_same(groups: int, dilation: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(8, 4 // groups, 3, 2, generator=generator, dtype=torch.float64)
    x = torch.randn(2, 4, 9, 8, generator=generator, dtype=torch.float64)
    plain = torch.from_numpy(undilated(ungrouped(weight.numpy(), groups), dilation))
    expected = F.conv2d(x, weight, dilation=dilation, groups=groups)
    assert torch.allclose(F.conv2d(x, plain), expected, rtol=0, atol=1e-12)


def test_a_kernel_of_one_axis() -> None:
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(6, 2, 3, generator=generator, dtype=torch.float64)
    x = torch.randn(2, 4, 9, generator=generator, dtype=torch.float64)
    plain = torch.from_numpy(undilated(ungrouped(weight.numpy(), 2), (2,)))
    expected = F.conv1d(x, weight, dilation=2, groups=2)
    assert torch.allclose(F.conv1d(x, plain), expected, rtol=0, atol=1e-12)
