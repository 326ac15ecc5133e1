"""The weight gradient on events against torch's, in float64, and what decides that it is taken."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mpo_snn.graph.geometry import Window
from mpo_snn.kernels import event_gradient
from mpo_snn.kernels.event_conv import is_available
from mpo_snn.kernels.event_gradient import BELOW, is_worth, weight_gradient

if not is_available():
    pytest.skip("numba is not installed, or the processor has no FMA", allow_module_level=True)


def window(padding: int = 1, kernel: int = 3, stride: int = 1, groups: int = 1) -> Window:
    return Window((kernel, kernel), (stride, stride), (padding, padding), (1, 1), groups)


def spikes(shape: tuple[int, ...], density: float, graded: bool, seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    x = (torch.rand(shape, generator=draw) < density).float()
    if graded:
        x = x * torch.randint(1, 5, shape, generator=draw) / 4
    return x.contiguous(memory_format=torch.channels_last)


def exact_gradient(x: Tensor, grad: Tensor, padding: int) -> Tensor:
    weight = torch.zeros(grad.shape[1], x.shape[1], 3, 3, dtype=torch.float64, requires_grad=True)
    y = torch.nn.functional.conv2d(x.double(), weight, padding=padding)
    return torch.autograd.grad(y, weight, grad.double())[0]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Tensor, Tensor, int]:
    padding = draw(st.integers(0, 2))
    n, channels = draw(st.integers(1, 5)), draw(st.sampled_from([16, 32, 48, 64]))
    height, width = (draw(st.integers(max(1, 3 - 2 * padding), 9)) for _ in range(2))
    density = draw(st.sampled_from([0.0, 0.05, 0.3, 1.0]))
    seed = draw(st.integers(0, 99))
    x = spikes((n, channels, height, width), density, draw(st.booleans()), seed)
    outputs = draw(st.sampled_from([32, 64]))
    size = (n, outputs, height + 2 * padding - 2, width + 2 * padding - 2)
    return x, torch.randn(size, generator=torch.Generator().manual_seed(seed)), padding


@given(case=cases(), at_once=st.sampled_from([1, 2**12, 2**20]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_it_is_the_gradient(case: tuple[Tensor, Tensor, int], at_once: int) -> None:
    x, grad, padding = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_gradient, "AT_ONCE", at_once)
        found = weight_gradient(x, grad, window(padding))
    expected = exact_gradient(x, grad, padding)
    assert found.is_contiguous(memory_format=torch.channels_last)
    limit = 1e-6 * float(expected.abs().max())
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=limit)


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpo_snn.kernels.numba_threads.WORTH", 1)
    x, grad = spikes((6, 64, 7, 7), 0.3, True, 0), torch.randn(6, 32, 7, 7)
    before, found = torch.get_num_threads(), []
    for threads in (1, 2, 3, 4):
        torch.set_num_threads(threads)
        found.append(weight_gradient(x, grad, window()))
    torch.set_num_threads(before)
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize(
    ("channels", "outputs", "how", "expected"),
    [
        (32, 64, window(), True),
        (24, 64, window(), False),
        (32, 48, window(), False),
        (32, 64, window(padding=3), False),
        (32, 64, window(padding=0, kernel=1), False),
        (32, 64, window(stride=2), False),
        (32, 64, window(groups=2), False),
        (32, 64, Window((3, 3), (1, 1), "same", (1, 1)), True),
    ],
)
def test_only_what_the_loops_can_do_is_worth_it(
    channels: int, outputs: int, how: Window, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_gradient, "LEAST", 0)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert is_worth(spikes((2, channels, 6, 6), 0.2, False, 0), outputs, how) is expected


def test_density_and_size_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    x = torch.zeros(10, 16, 10, 10).contiguous(memory_format=torch.channels_last)
    assert not is_worth(x, 32, window())  # too small
    monkeypatch.setattr(event_gradient, "LEAST", x.numel() * 32 * 9)
    flat = x.permute(0, 2, 3, 1).reshape(-1)
    assert flat.data_ptr() == x.data_ptr()
    flat[: round(BELOW * len(flat)) - 1] = -0.5
    assert is_worth(x, 32, window())
    flat[: round(BELOW * len(flat))] = -0.5
    assert not is_worth(x, 32, window())
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not is_worth(torch.zeros_like(x), 32, window())
