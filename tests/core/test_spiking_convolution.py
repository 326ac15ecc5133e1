"""A convolution that trains on events is the dense one: bits forward, float tolerance backward."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mpo_snn import spiking_convolution
from mpo_snn.errors import RecipeError
from mpo_snn.kernels import event_gradient
from mpo_snn.kernels.event_conv import is_available
from mpo_snn.leaky import MPOLeaky
from mpo_snn.spiking_convolution import SpikingConvolution
from mpo_snn.unroll import Unrolled

if not is_available():
    pytest.skip("numba is not installed, or the processor has no FMA", allow_module_level=True)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events from the first batch on, whatever the size."""
    monkeypatch.setattr(spiking_convolution, "WORTH", 0)
    monkeypatch.setattr(event_gradient, "LEAST", 0)


def layer_of(**how: Any) -> nn.Conv2d:
    torch.manual_seed(0)
    layer = nn.Conv2d(32, 64, **{"kernel_size": 3, "padding": 1, **how})
    return layer.to(memory_format=torch.channels_last)


def spikes(seed: int, density: float = 0.2) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    x = (torch.rand(8, 32, 6, 6, generator=draw) < density).float()
    return x.contiguous(memory_format=torch.channels_last)


def gradients(run: Any, layer: nn.Conv2d, x: Tensor, grad: Tensor) -> list[Tensor]:
    x = x.detach().requires_grad_()
    parameters = [p for p in (layer.weight, layer.bias) if p is not None]
    return list(torch.autograd.grad(run(x), [x, *parameters], grad.to(x)))


@pytest.mark.parametrize(
    "how",
    [{}, {"bias": False}, {"stride": 2}, {"kernel_size": 1, "padding": 0}, {"padding": "same"}],
)
def test_steps_of_training_are_those_of_the_layer(how: dict[str, Any]) -> None:
    layer = layer_of(**how)
    convolution, exact = SpikingConvolution(layer), copy.deepcopy(layer).double()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for step in range(4):
        x = spikes(step)
        y = convolution(x)
        assert torch.equal(y, layer(x)), step
        grad = torch.randn(y.shape, generator=torch.Generator().manual_seed(step))
        exact.load_state_dict({k: v.double() for k, v in layer.state_dict().items()})
        expected = gradients(exact, exact, x.double(), grad)
        found = gradients(convolution, layer, x, grad)
        for a, b in zip(found, expected, strict=True):
            limit = 1e-6 * float(b.abs().max())
            torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=limit)
        optimizer.zero_grad()
        convolution(x).backward(grad)
        optimizer.step()
    (way,) = convolution._ways.values()
    assert way.has_run_on_events


def test_the_way_back_does_not_depend_on_what_was_before() -> None:
    """Whoever resumes a run begins with the dense way forward, and gets the same gradients."""
    layer, grad = layer_of(), torch.randn(8, 64, 6, 6)
    seasoned, fresh = SpikingConvolution(layer), SpikingConvolution(layer)
    for step in range(3):
        seasoned(spikes(step))
    found = [gradients(run, layer, spikes(9), grad) for run in (seasoned, fresh)]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def only_dense(convolution: SpikingConvolution, x: Tensor) -> bool:
    expected = convolution.layer(x)
    found = convolution(x)
    return torch.equal(found, expected) and not convolution._ways


@pytest.mark.parametrize(
    "how",
    [
        {"padding_mode": "circular"},
        {"dilation": 2},
        {"kernel_size": 2, "padding": "same"},
        {"groups": 4},
    ],
)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_what_events_cannot_do_stays_with_the_layer(how: dict[str, Any]) -> None:
    assert only_dense(SpikingConvolution(layer_of(**how)), spikes(0))


def test_inputs_of_other_kinds_stay_with_the_layer() -> None:
    assert only_dense(SpikingConvolution(layer_of()), spikes(0).contiguous())
    assert only_dense(SpikingConvolution(layer_of().double()), spikes(0).double())
    with torch.autocast("cpu", torch.bfloat16):
        assert only_dense(SpikingConvolution(layer_of()), spikes(0))


def test_hooks_are_called() -> None:
    layer, seen = layer_of(), []
    layer.register_forward_hook(lambda *_: seen.append(1))
    SpikingConvolution(layer)(spikes(0))
    assert seen == [1]


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: layer.register_full_backward_pre_hook(lambda module, grad: None),
        lambda layer: layer.register_forward_pre_hook(lambda module, x: None),
        lambda layer: setattr(layer, "forward", lambda x: x),
    ],
)
def test_whoever_watches_the_layer_sees_it(change: Any) -> None:
    layer = layer_of()
    assert SpikingConvolution(layer)._takes(spikes(0))
    change(layer)
    assert not SpikingConvolution(layer)._takes(spikes(0))


def test_several_threads_take_an_input_with_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpo_snn.kernels.numba_threads.WORTH", 1)
    layer, before = layer_of(), torch.get_num_threads()
    convolution = SpikingConvolution(layer)
    torch.set_num_threads(2)
    try:
        for step in range(3):
            x = spikes(step).requires_grad_()
            y = convolution(x)
            assert torch.equal(y, layer(x))
            y.sum().backward()
    finally:
        torch.set_num_threads(before)
    assert all(way.has_run_on_events for way in convolution._ways.values())


def test_another_default_dtype_changes_nothing() -> None:
    layer, x, grad = layer_of(), spikes(0), torch.randn(8, 64, 6, 6)
    expected = gradients(SpikingConvolution(layer), layer, x, grad)
    torch.set_default_dtype(torch.float64)
    try:
        found = gradients(SpikingConvolution(layer), layer, x, grad)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_what_is_no_number_is_seen_where_nothing_fires() -> None:
    layer = layer_of()
    convolution, silent = SpikingConvolution(layer), torch.zeros_like(spikes(0))
    for step in range(3):
        convolution(spikes(step))
    bad = torch.full((8, 64, 6, 6), float("nan"))
    assert gradients(convolution, layer, silent, bad)[1].isnan().all()
    with torch.no_grad():
        layer.weight[0, 0, 0, 0] = float("inf")
    x = spikes(9)
    torch.testing.assert_close(convolution(x), layer(x), rtol=0, atol=0, equal_nan=True)


def test_a_silent_first_batch_proves_nothing() -> None:
    """Here both ways add up in another order; silence would not show it."""
    layer = nn.Conv2d(128, 128, 7, stride=3, padding=1).to(memory_format=torch.channels_last)
    convolution = SpikingConvolution(layer)
    draw = torch.Generator().manual_seed(0)
    for density in (0.0, 0.001, 0.2, 0.2):
        x = (torch.rand(4, 128, 7, 7, generator=draw) < density).float()
        x = x.contiguous(memory_format=torch.channels_last)
        assert torch.equal(convolution(x), layer(x))


def test_a_penalty_on_the_gradient_is_not_lost() -> None:
    layer = layer_of()

    def penalised(run: Any) -> Tensor:
        x = spikes(0).requires_grad_()
        y = run(x).sum()
        (grad,) = torch.autograd.grad(y, x, create_graph=True)
        return torch.autograd.grad(y + grad.square().sum(), layer.weight)[0]

    convolution = SpikingConvolution(layer)
    for step in range(2):
        convolution(spikes(step))
    torch.testing.assert_close(penalised(convolution), penalised(layer))


def test_sizes_and_weights_are_read_at_every_call() -> None:
    layer = layer_of()
    convolution, x = SpikingConvolution(layer), spikes(0)
    for padding, stride in ((1, 1), (0, 1), (1, 2), (1, 1)):
        layer.padding, layer.stride = (padding, padding), (stride, stride)
        for _ in range(2):
            assert torch.equal(convolution(x), layer(x))
    assert not convolution._takes(x[:0])
    layer.weight = nn.Parameter(torch.randn(64, 16, 3, 3))
    with pytest.raises(RuntimeError, match="16 channels"):
        convolution(x)


class Small(nn.Module):
    """Two neuron layers around a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first = MPOLeaky(0.5, init_hidden=True)
        self.conv = layer_of(bias=False)
        self.last = MPOLeaky(0.5, init_hidden=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.conv(self.first(x)))  # type: ignore[no-any-return]


def test_an_unrolled_network_takes_them_unless_told_not_to() -> None:
    network = Small()
    current = torch.randn(4, 2, 32, 6, 6, generator=torch.Generator().manual_seed(0))
    current = current.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    current = current.unflatten(0, (4, 2))
    ways = {events: Unrolled(network, 4, events=events) for events in (True, False)}
    for _ in range(2):
        outputs = [unrolled(current) for unrolled in ways.values()]
        assert torch.equal(*outputs)
    assert ways[True]._convolutions and not ways[False]._convolutions
    with pytest.raises(RecipeError, match="events is 'never', allowed are True and False"):
        Unrolled(network, 4, events="never")  # type: ignore[arg-type]
    for again in (copy.deepcopy(ways[True]), pickle.loads(pickle.dumps(ways[True]))):
        assert not again._convolutions
        assert torch.equal(again(current), outputs[0])
