"""`adapt` and the surrogates that a network of snnTorch had: kept to the gradient, or told."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import snntorch
import torch
from snntorch import surrogate
from torch import Tensor, nn

from mpo_snn.adaptation import adapt
from mpo_snn.errors import MpoError, RecipeError
from mpo_snn.mpo import MPO
from mpo_snn.settings import MPOSettings
from mpo_snn.snntorch_surrogate import shape_and_slope
from mpo_snn.surrogate import surrogate_derivative

SHAPES = [surrogate.atan(), surrogate.atan(0.7), surrogate.sigmoid(), surrogate.sigmoid(3)]
FUNCTIONS = [surrogate.fast_sigmoid(5), surrogate.triangular(0.5)]


class Loop(nn.Module):
    def __init__(self, spike_grad: Callable[[Tensor], Tensor] | None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc1, self.fc2 = nn.Linear(5, 7), nn.Linear(7, 3)
        self.lif1 = snntorch.Leaky(0.9, threshold=0.4, spike_grad=spike_grad)
        self.lif2 = snntorch.Synaptic(0.5, 0.8, threshold=0.3, spike_grad=spike_grad)

    def forward(self, x: Tensor) -> Tensor:
        mem1, (syn2, mem2) = self.lif1.reset_mem(), self.lif2.reset_mem()
        total = 0.0
        for step in x:
            spk1, mem1 = self.lif1(self.fc1(step), mem1)
            spk2, syn2, mem2 = self.lif2(self.fc2(spk1), syn2, mem2)
            total = total + spk2 * torch.tensor([1.0, -0.5, 2.0])
        return total


def gradients(network: nn.Module) -> list[Tensor]:
    x = torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(1))
    loss = network(x).square().sum()
    return list(torch.autograd.grad(loss, list(network.parameters())))


@pytest.mark.parametrize("function", SHAPES + FUNCTIONS)
def test_kept_surrogates_give_the_gradients_of_snntorch(function: Any) -> None:
    expected = gradients(Loop(function))
    found = gradients(adapt(Loop(function), surrogate="keep"))
    assert all(bool(grad.any()) for grad in expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("function", SHAPES)
def test_a_known_function_of_snntorch_is_one_of_our_shapes_at_every_distance(function: Any) -> None:
    known = shape_and_slope(function)
    assert known is not None
    x = torch.linspace(-2.0, 2.0, 401, dtype=torch.float64)
    theirs = surrogate_derivative(x, torch.ones(()), function)
    ours = surrogate_derivative(x, torch.tensor(known[1], dtype=torch.float64), known[0])
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("function", [*FUNCTIONS, nn.Sigmoid(), lambda x: (x > 0).float()])
def test_what_has_no_equal_is_no_shape(function: Any) -> None:
    assert shape_and_slope(function) is None


def test_mpo_adapts_kept_shapes_and_refuses_kept_functions() -> None:
    shapes = adapt(Loop(surrogate.atan(3.0)), surrogate="keep")
    assert float(shapes.lif1.slope) == pytest.approx(1.5 * torch.pi)
    assert len(MPO(shapes).layers) == 2
    functions = adapt(Loop(surrogate.fast_sigmoid()), surrogate="keep")
    with pytest.raises(MpoError, match="adapt_width=False"):
        MPO(functions)
    assert len(MPO(functions, MPOSettings(adapt_width=False)).layers) == 2


def test_a_surrogate_that_somebody_chose_is_not_replaced_without_a_word() -> None:
    with pytest.warns(UserWarning, match=r"lif1, lif2 had a surrogate .* sigmoid of width 0.5"):
        adapt(Loop(surrogate.fast_sigmoid()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adapt(Loop(None))
        adapt(Loop(surrogate.fast_sigmoid()), surrogate="sigmoid")
        adapt(Loop(surrogate.fast_sigmoid()), surrogate="keep")


def test_shape_and_width_can_be_said() -> None:
    network = adapt(Loop(None), surrogate="triangle", width=0.25)
    assert network.lif1.surrogate == network.lif2.surrogate == "triangle"
    assert float(network.lif1.width) == float(network.lif2.width) == 0.25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"surrogate": "atan"}, "surrogate is 'atan', allowed are sigmoid, arctan"),
        ({"surrogate": "keep", "width": 0.3}, "leave one of them out"),
        ({"width": -1.0}, "width is -1, allowed is above 0"),
    ],
)
def test_wrong_arguments_replace_nothing(arguments: dict[str, Any], message: str) -> None:
    network = Loop(None)
    with pytest.raises((MpoError, RecipeError), match=message):
        adapt(network, **arguments)
    assert type(network.lif1) is snntorch.Leaky


def test_a_neuron_without_a_surrogate_has_none_to_keep() -> None:
    network = nn.Sequential(snntorch.Leaky(0.9, surrogate_disable=True))
    with pytest.raises(MpoError, match="'0' has surrogate_disable"):
        adapt(network, surrogate="keep")
