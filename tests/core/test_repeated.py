"""`repeated` against `expand`, for gradients that lie in memory once and for others."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mpo_snn.repeated import repeated


def gradient(shown: Tensor, x: Tensor, back: Tensor) -> Tensor:
    return torch.autograd.grad(shown, x, back)[0]


@pytest.mark.parametrize("timesteps", [1, 2, 4, 7])
@pytest.mark.parametrize("is_constant", [True, False])
def test_values_and_gradient_are_those_of_expand(timesteps: int, is_constant: bool) -> None:
    draw = torch.Generator().manual_seed(timesteps)
    x = torch.randn(3, 2, 5, generator=draw, dtype=torch.float64).requires_grad_()
    shown = repeated(x, timesteps)
    expanded = x.expand(timesteps, *x.shape)
    assert shown.stride() == expanded.stride()
    assert torch.equal(shown, expanded)

    back = torch.randn(1 if is_constant else timesteps, *x.shape, generator=draw).double()
    back = back.expand(timesteps, *x.shape)
    expected = gradient(expanded, x, back)
    torch.testing.assert_close(gradient(shown, x, back), expected, rtol=1e-15, atol=1e-15)


def test_gradient_is_right_to_the_second_order() -> None:
    x = torch.randn(3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x.requires_grad_()

    def cubes(x: Tensor) -> Tensor:
        return repeated(x, 4).pow(3)

    assert torch.autograd.gradcheck(cubes, x)
    assert torch.autograd.gradgradcheck(cubes, x)


def test_it_can_be_mapped_and_differentiated_as_a_function() -> None:
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.vmap(lambda row: repeated(row, 4))(x)[1], repeated(x[1], 4))
    found = torch.func.grad(lambda x: repeated(x, 4).square().sum())(x)
    torch.testing.assert_close(found, 8 * x)
