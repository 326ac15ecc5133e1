"""Networks that `torch.compile` takes into one graph, on every backend, against running them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

from mpo_snn.kernels import BACKENDS
from mpo_snn.leaky import MPOLeaky
from mpo_snn.mpo import MPO
from mpo_snn.settings import MPOSettings
from mpo_snn.unroll import Unrolled

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
STEPS = 4
# What torch's own tracer does with an autograd.Function.
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


@pytest.fixture(autouse=True)
def nothing_compiled_before() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    if request.param in ("triton", "numba"):
        pytest.importorskip(request.param)
    if request.param == "numba" and DEVICE != "cpu":
        pytest.skip("it is for CPUs")
    return str(request.param)


def build(backend: str, **more: Any) -> nn.ModuleList:
    """Convolution, neurons with a threshold per channel, a second layer of neurons, readout."""
    torch.manual_seed(0)
    threshold = torch.tensor([0.2, 0.3, 0.4, 0.5])
    return nn.ModuleList(
        [
            nn.Conv2d(2, 4, 3, padding=1),
            MPOLeaky(0.8, threshold=threshold, backend=backend, **more),
            nn.Linear(64, 6),
            MPOLeaky(0.6, threshold=0.02, backend=backend, reset="subtract", **more),
            nn.Linear(6, 3),
        ]
    ).to(DEVICE)


def forward(layers: nn.ModuleList, x: Tensor) -> list[Tensor]:
    """Spikes of both layers and the output; the first layer's input is constant in time."""
    convolution, first, linear, second, readout = layers
    drive = convolution(x)
    early = first.scan_spikes(drive.expand(STEPS, *drive.shape))  # type: ignore[operator]
    late = second.scan_spikes(linear(early.flatten(2)))  # type: ignore[operator]
    return [early, late, readout(late)]


def images() -> Tensor:
    return torch.rand(3, 2, 4, 4, generator=torch.Generator().manual_seed(1)).to(DEVICE)


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def with_gradients(run: Callable[[], list[Tensor]], layers: nn.ModuleList) -> list[Tensor]:
    found = run()
    loss = found[-1].square().mean()
    return [*found, *torch.autograd.grad(loss, list(layers.parameters()))]


def test_a_network_compiles_into_one_graph(backend: str) -> None:
    layers, x = build(backend), images().contiguous(memory_format=torch.channels_last)
    layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    compiled = torch.compile(forward, fullgraph=True, backend="aot_eager")
    found = with_gradients(lambda: compiled(layers, x), layers)
    expected = with_gradients(lambda: forward(layers, x), layers)
    for a, b in zip(found[:2], expected[:2], strict=True):
        assert torch.equal(a, b) and 0.0 < float(a.detach().mean()) < 1.0
    assert_same(found, expected)


class Residual(nn.Module):
    """One timestep, with what `Unrolled` runs in its own way: batchnorm, an addition, a method."""

    def __init__(self, layers: nn.ModuleList) -> None:
        super().__init__()
        self.convolution, self.first, self.linear, self.second, self.readout = layers
        self.norm = nn.BatchNorm2d(4, device=DEVICE)

    def forward(self, x: Tensor) -> Tensor:
        drive = self.norm(self.convolution(x))
        hidden = self.linear((self.first(drive) + drive).flatten(1))
        return self.readout(self.second(hidden))  # type: ignore[no-any-return]


def test_so_does_a_step_of_an_unrolled_network_with_its_statistics(backend: str) -> None:
    layers, x = build(backend, init_hidden=True), images()
    unrolled = Unrolled(Residual(layers), STEPS)
    settings = MPOSettings(lambda_dist=0.1, neuron_gain=True, height_norm="rms")
    mpo = MPO(layers, settings)

    def step() -> list[Tensor]:
        output = unrolled(x.expand(STEPS, *x.shape))
        return [output + mpo.regularizer()]

    def statistics() -> list[Tensor]:
        records = [layer.record for layer in (layers[1], layers[3])]
        samples = [record.take_all() for record in records]  # type: ignore[union-attr,operator]
        assert all(sample.neurons is not None for sample in samples)
        return [
            value for s in samples for value in (s.layer.mean, s.layer.m2, s.neurons.m2, s.shares)
        ]

    found = with_gradients(torch.compile(step, fullgraph=True, backend="aot_eager"), layers)
    found += statistics()
    assert_same(found, with_gradients(step, layers) + statistics())


@pytest.mark.parametrize(
    ("layout", "statistic", "anew"),
    [
        ("time", "none", 32),
        ("channels last", "mean", 32),
        ("constant", "final", 32),
        ("channels last", "mean", 2),
    ],
)
def test_the_operator_is_as_torch_wants_it(layout: str, statistic: str, anew: int) -> None:
    """`anew`: timesteps up to which the membrane is computed anew, not kept."""
    pytest.importorskip("triton")
    triton_scan = importlib.import_module("mpo_snn.kernels.triton_scan")
    operator = importlib.import_module("mpo_snn.kernels.triton_op").lif_scan_triton
    constant = layout == "constant"
    source = torch.randn(2 if constant else 6, 4, 3, 3, device=DEVICE)
    if layout == "channels last":
        source = source.contiguous(memory_format=torch.channels_last)
    if not constant:
        source = source.unflatten(0, (3, 2))
    learns = layout == "channels last"
    beta, threshold = (
        torch.full((4, 1, 1), value, device=DEVICE, requires_grad=learns) for value in (0.5, 0.7)
    )
    slope, scale = torch.tensor(3.0, device=DEVICE), torch.rand(4, 3, 3, device=DEVICE)
    kind = ("zero", "step", "decay", "sigmoid", layout == "time", statistic)
    how = (3, constant, *kind, 0.8, True, layout == "constant", True, True)
    arguments = (source.detach().requires_grad_(), beta, threshold, slope, scale, *how)
    with mock.patch.object(triton_scan, "ANEW", anew):
        torch.library.opcheck(operator, arguments)
