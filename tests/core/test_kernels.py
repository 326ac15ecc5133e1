"""Every LIF kernel against the reference scan, and both against a twin that gradcheck knows."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, get_args

import pytest
import snntorch.surrogate
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from mpo_snn.errors import RecipeError
from mpo_snn.kernels.scans import lif_scan
from mpo_snn.lif import LIFParameters
from mpo_snn.surrogate import Shape, Surrogate

CHOICES = list(itertools.product(("zero", "subtract", "none"), ("step", "next"), ("unit", "decay")))
SURROGATES: list[Surrogate] = [*get_args(Shape), snntorch.surrogate.fast_sigmoid(slope=5.0)]
FAST = ["in_place"]  # the Triton kernels have a file of their own
LAYOUTS = ("contiguous", "batch first", "channels last", "strided", "constant", "batch constant")
READS = ("spikes", "membrane", "both")


def parameters(
    beta: Tensor, threshold: Tensor, *choice: str, surrogate: Surrogate = "sigmoid"
) -> LIFParameters:
    k, scale = beta.new_tensor(3.0), beta.new_tensor(1.3)
    p = LIFParameters(beta, threshold, k, scale, *choice)  # type: ignore[arg-type]
    return replace(p, surrogate=surrogate)


def make_current(
    shape: tuple[int, ...], layout: str, seed: int, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Input of (time, batch, *features), all entries near threshold, in a given memory layout."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, dtype=dtype) + 0.5

    steps, batch, *features = shape
    if layout == "batch first":
        return draw(batch, steps, *features).transpose(0, 1)
    if layout == "channels last" and len(features) == 3:
        folded = draw(steps * batch, *features).contiguous(memory_format=torch.channels_last)
        return folded.unflatten(0, (steps, batch))
    if layout == "strided":
        return draw(steps, batch, *features, 2)[..., 1]
    if layout == "constant":
        return draw(batch, *features).expand(shape)
    if layout == "batch constant":
        return draw(steps, 1, *features).expand(shape)
    return draw(*shape)


@st.composite
def cases(draw: st.DrawFn, most_steps: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    features = draw(st.sampled_from([(), (3,), (4, 1), (2, 3, 5), (1, 4, 4)]))
    shape = (draw(st.integers(1, most_steps)), draw(st.integers(1, 4)), *features)
    current = make_current(shape, draw(st.sampled_from(LAYOUTS)), draw(st.integers(0, 2**32)))
    beta, threshold = torch.tensor(draw(st.sampled_from([0.0, 0.3, 0.9, 1.0]))), torch.tensor(0.7)
    if features and draw(st.booleans()):
        per_channel = (features[0], *[1] * (len(features) - 1))
        beta = torch.linspace(0.0, 0.95, features[0]).reshape(per_channel)
    if features and draw(st.booleans()):
        per_channel = (features[0], *[1] * (len(features) - 1))
        threshold = torch.linspace(0.4, 1.2, features[0]).reshape(per_channel)
    return current, beta, threshold


def gradients(
    current: Tensor,
    beta: Tensor,
    threshold: Tensor,
    choice: Any,
    backend: str,
    reads: str,
    **surrogate: Any,
) -> list[Tensor]:
    """Gradients of a random projection of the outputs, by current, beta and threshold."""
    leaves = [x.detach().clone().requires_grad_() for x in (beta, threshold)]
    source = current.detach().requires_grad_()
    p = replace(parameters(*leaves, *choice), **surrogate)
    spk, v = lif_scan(source, p, backend)
    generator = torch.Generator().manual_seed(1)
    loss = current.new_zeros(())
    if reads != "membrane":
        loss = loss + (spk * torch.randn(spk.shape, generator=generator).to(spk)).sum()
    if reads != "spikes":
        loss = loss + (v * torch.randn(v.shape, generator=generator).to(v)).sum()
    return list(torch.autograd.grad(loss, (source, *leaves), materialize_grads=True))


def assert_near(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    """Equal to `tolerance` of the largest entry."""
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        largest = max(1.0, float(b.abs().max()))
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("choice", CHOICES)
@given(case=cases())
@settings(max_examples=30, deadline=None, derandomize=True)
def test_forward_is_the_reference_bit_for_bit(
    choice: tuple[str, ...], backend: str, case: tuple[Tensor, ...]
) -> None:
    current, beta, threshold = case
    before = current.clone()
    p = parameters(beta, threshold, *choice)
    spk, v = lif_scan(current, p, backend)
    expected_spk, expected_v = lif_scan(current, p, "reference")
    assert torch.equal(spk, expected_spk) and torch.equal(v, expected_v)
    assert spk.dtype == v.dtype == current.dtype
    assert torch.equal(current, before)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("reads", READS)
@pytest.mark.parametrize("choice", CHOICES)
@given(case=cases())
@settings(max_examples=8, deadline=None, derandomize=True)
def test_gradients_are_the_references(
    choice: tuple[str, ...], reads: str, backend: str, case: tuple[Tensor, ...]
) -> None:
    current, beta, threshold = case
    current = current.contiguous() if current.stride(0) == 0 else current
    found = gradients(current, beta, threshold, choice, backend, reads)
    assert_near(found, gradients(current, beta, threshold, choice, "reference", reads), 1e-5)


@pytest.mark.parametrize("backend", FAST)
@given(
    case=cases(most_steps=64),
    choice=st.sampled_from(CHOICES),
    surrogate=st.sampled_from(get_args(Shape)),
    reads=st.sampled_from(READS),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_gradients_over_many_steps_are_those_of_float64(
    backend: str, case: tuple[Tensor, ...], choice: tuple[str, ...], surrogate: Any, reads: str
) -> None:
    """Where float64 fires alike: what float32 itself is off by grows with the number of steps."""
    case = (case[0].contiguous() if case[0].stride(0) == 0 else case[0], *case[1:])
    exact = tuple(x.double() for x in case)
    spk, _ = lif_scan(case[0], parameters(*case[1:], *choice), backend)
    expected_spk, _ = lif_scan(exact[0], parameters(*exact[1:], *choice), "reference")
    assume(torch.equal(spk.double(), expected_spk))
    found = gradients(*case, choice, backend, reads, surrogate=surrogate)
    expected = gradients(*exact, choice, "reference", reads, surrogate=surrogate)
    assert_near([x.double() for x in found], expected, 1e-5)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("surrogate", SURROGATES)
@given(case=cases(), per_channel=st.booleans(), reads=st.sampled_from(READS))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_gradients_are_the_references_for_every_surrogate(
    surrogate: Any, backend: str, case: tuple[Tensor, ...], per_channel: bool, reads: str
) -> None:
    current, beta, threshold = case
    current = current.contiguous() if current.stride(0) == 0 else current
    given: dict[str, Any] = {"surrogate": surrogate}
    if per_channel and current.dim() > 2:
        shape = (current.shape[2], *[1] * (current.dim() - 3))
        given["slope"] = torch.linspace(0.5, 6.0, current.shape[2]).reshape(shape)
    choice = ("subtract", "step", "decay")
    found = gradients(current, beta, threshold, choice, backend, reads, **given)
    expected = gradients(current, beta, threshold, choice, "reference", reads, **given)
    assert_near(found, expected, 1e-5)


@pytest.mark.parametrize("backend", [*FAST, "reference"])
@pytest.mark.parametrize("steps", (1, 2, 5))
@pytest.mark.parametrize("choice", CHOICES)
def test_gradient_of_a_constant_input_is_that_of_its_copies(
    choice: tuple[str, ...], steps: int, backend: str
) -> None:
    x = make_current((1, 3, 4), "contiguous", 0)[0]
    beta, threshold = torch.tensor(0.8), torch.tensor(0.6)

    def grads(repeat: Any) -> list[Tensor]:
        leaves = [t.clone().requires_grad_() for t in (x, beta, threshold)]
        p = parameters(leaves[1], leaves[2], *choice)
        spk, v = lif_scan(repeat(leaves[0]), p, backend)
        weight = torch.linspace(-1, 2, spk.numel()).reshape(spk.shape)
        return list(torch.autograd.grad((spk * weight + 0.3 * v * weight).sum(), leaves))

    viewed = grads(lambda t: t.expand(steps, *t.shape))
    copied = grads(lambda t: torch.stack([t] * steps))
    assert_near(viewed, copied, 1e-5)


def test_constant_input_is_read_as_such() -> None:
    """Its membrane equals that of the copies, and no copy of the input is kept for the backward."""
    x = make_current((1, 3, 4), "contiguous", 0)[0].requires_grad_()
    p = parameters(torch.tensor(0.8), torch.tensor(0.6), "zero", "step", "unit")
    viewed = lif_scan(x.expand(5, 3, 4), p, "in_place")
    copied = lif_scan(torch.stack([x] * 5), p, "in_place")
    assert torch.equal(viewed[0], copied[0]) and torch.equal(viewed[1], copied[1])


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("layout", ("contiguous", "batch first", "channels last"))
def test_the_memory_layout_is_kept(layout: str, backend: str) -> None:
    current = make_current((3, 2, 4, 5, 5), layout, 0).requires_grad_()
    p = parameters(torch.tensor(0.8), torch.tensor(0.6), "zero", "step", "decay")
    spk, v = lif_scan(current, p, backend)
    assert spk.stride() == v.stride() == current.stride()
    (grad,) = torch.autograd.grad(spk.sum(), current)
    assert grad.stride() == current.stride()


def smooth_twin(
    current: Tensor, beta: Tensor, threshold: Tensor, fired: Tensor, *choice: str
) -> tuple[Tensor, Tensor]:
    """The scan with resets fixed to recorded spikes; its output is the surrogate's primitive."""
    reset, timing, gain = choice
    state = torch.zeros_like(current[0])
    outputs, membranes = [], []
    for t in range(current.shape[0]):
        v = beta * state + (current[t] if gain == "unit" else (1 - beta) * current[t])
        if t and timing == "next" and reset == "subtract":
            v = v - fired[t - 1] * threshold
        outputs.append(1.3 * torch.sigmoid(3.0 * (v - threshold)))
        membranes.append(v)
        state = v
        if reset == "zero":
            state = v * (1 - fired[t])
        elif reset == "subtract" and timing == "step":
            state = v - fired[t] * threshold
    return torch.stack(outputs), torch.stack(membranes)


@pytest.mark.parametrize("per_channel", (False, True))
@pytest.mark.parametrize("choice", CHOICES)
def test_the_smooth_part_passes_gradcheck_and_is_every_backends_gradient(
    choice: tuple[str, ...], per_channel: bool
) -> None:
    current = make_current((4, 2, 3), "contiguous", 3, torch.float64).requires_grad_()
    beta = torch.tensor([0.4, 0.7, 0.9] if per_channel else 0.7, dtype=torch.float64)
    threshold = torch.tensor([0.5, 0.6, 0.8] if per_channel else 0.6, dtype=torch.float64)
    leaves = (current, beta.requires_grad_(), threshold.requires_grad_())
    recorded, _ = lif_scan(current, parameters(beta, threshold, *choice), "reference")
    fired = recorded.detach()
    assert 0 < fired.sum() < fired.numel()

    def twin(*args: Tensor) -> tuple[Tensor, Tensor]:
        return smooth_twin(*args, fired, *choice)

    assert torch.autograd.gradcheck(twin, leaves)
    weights = [torch.randn(fired.shape, dtype=torch.float64) for _ in range(2)]
    expected = torch.autograd.grad(twin(*leaves), leaves, weights)
    for backend in (*FAST, "reference"):
        outputs = lif_scan(current, parameters(beta, threshold, *choice), backend)
        found = torch.autograd.grad(outputs, leaves, weights)
        assert_near(list(found), list(expected), 1e-12)


@pytest.mark.parametrize("backend", FAST)
def test_only_the_gradients_that_are_wanted_are_computed(backend: str) -> None:
    current = make_current((3, 2, 4), "contiguous", 0)
    beta = torch.tensor(0.8, requires_grad=True)
    p = parameters(beta, torch.tensor(0.6), "zero", "step", "decay")
    spk, _ = lif_scan(current, p, backend)
    spk.sum().backward()
    assert current.grad is None and beta.grad is not None
    plain = parameters(torch.tensor(0.8), torch.tensor(0.6), "zero", "step")
    silent, _ = lif_scan(current, plain, backend)
    assert not silent.requires_grad


def test_an_unknown_backend_is_refused_with_the_list() -> None:
    p = parameters(torch.tensor(0.8), torch.tensor(0.6), "zero", "step", "decay")
    with pytest.raises(RecipeError, match=r"'cuda'.*in_place, triton, reference"):
        lif_scan(torch.zeros(1, 1, 1), p, "cuda")
