"""The compiled CPU kernels against the reference scan; statistics against float64."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from mpo_snn.errors import RecipeError
from mpo_snn.kernels import BACKENDS, default_backend
from mpo_snn.kernels.scans import lif_scan, lif_scan_sampled, lif_spikes
from mpo_snn.leaky import MPOLeaky
from mpo_snn.lif import LIFParameters
from mpo_snn.membrane import Sample
from mpo_snn.membrane_record import MembraneRecord
from mpo_snn.mpo import MPO
from mpo_snn.settings import MPOSettings
from mpo_snn.surrogate import Shape

pytest.importorskip("numba")

CHOICES = list(itertools.product(("zero", "subtract", "none"), ("step", "next"), ("unit", "decay")))
LAYOUTS = ("contiguous", "channels last", "batch first", "constant", "features first")
READS = ("spikes", "membrane", "both", "mean over time")
FEATURES = [(), (3,), (2, 3, 5), (5, 4, 4), (40, 6, 7)]


def make_current(shape: tuple[int, ...], layout: str, seed: int = 0) -> Tensor:
    """Input near threshold, (time, batch, *features), in a given memory layout."""
    generator = torch.Generator().manual_seed(seed)
    steps, batch, *features = shape

    def draw(*size: int) -> Tensor:
        return torch.randn(size, generator=generator) + 0.5

    if layout == "constant":
        return draw(batch, *features).expand(shape)
    if layout == "batch first":
        return draw(batch, steps, *features).transpose(0, 1)
    if layout == "features first":
        order = (0, *range(2, len(shape)), 1)
        inverse = sorted(range(len(shape)), key=order.__getitem__)
        return draw(*(shape[axis] for axis in order)).permute(inverse)
    folded = draw(steps * batch, *features)
    if layout == "channels last" and len(features) == 3:
        folded = folded.contiguous(memory_format=torch.channels_last)
    return folded.unflatten(0, (steps, batch))


def parameters(
    features: tuple[int, ...], which: str, choice: Any, learns: bool = False, **more: Any
) -> LIFParameters:
    """Beta, threshold and slope: one number, one per channel or one per neuron."""
    shape: tuple[int, ...] = ()
    if features and which != "scalar":
        shape = features if which == "neuron" else (features[0], *[1] * (len(features) - 1))

    def value(low: float, high: float) -> Tensor:
        return torch.linspace(low, high, max(1, int(torch.tensor(shape).prod()))).reshape(shape)

    beta, threshold = value(0.5, 0.9), value(0.6, 1.1)
    scale = torch.rand(features, generator=torch.Generator().manual_seed(0)) + 0.5
    p = LIFParameters(beta, threshold, value(2.0, 5.0), scale, *choice, **more)
    if learns:
        p = replace(p, beta=beta.requires_grad_(), threshold=threshold.requires_grad_())
    return p


@st.composite
def cases(draw: st.DrawFn, most_steps: int = 6) -> tuple[Tensor, LIFParameters]:
    features = draw(st.sampled_from(FEATURES))
    shape = (draw(st.integers(1, most_steps)), draw(st.integers(1, 3)), *features)
    current = make_current(shape, draw(st.sampled_from(LAYOUTS)), draw(st.integers(0, 99)))
    which = draw(st.sampled_from(("scalar", "channel", "neuron")))
    surrogate = draw(st.sampled_from(get_args(Shape)))
    choice = draw(st.sampled_from(CHOICES))
    return current, parameters(features, which, choice, True, surrogate=surrogate)


def strides(x: Tensor) -> list[int]:
    return [s for s, size in zip(x.stride(), x.shape, strict=True) if size > 1]


def assert_near(found: Tensor, expected: Tensor, tolerance: float) -> None:
    """Equal to `tolerance` of the largest entry."""
    largest = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * largest)


def record(**more: Any) -> MembraneRecord:
    return MembraneRecord(**{"statistic": "mean", "gamma": 1.0, "power": True, **more})


@given(case=cases(most_steps=64))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_spikes_and_membrane_are_the_references_bit_for_bit(case: Any) -> None:
    current, p = case
    before = current.clone()
    spk, v = lif_scan(current, p, "numba")
    for found, expected in zip((spk, v), lif_scan(current, p, "reference"), strict=True):
        assert torch.equal(found, expected) and found.dtype == torch.float32
        if current.stride(0):
            assert strides(found) == strides(current)
    assert torch.equal(lif_spikes(current, p, "numba"), spk)
    assert torch.equal(current, before)


def gradients(
    current: Tensor, p: LIFParameters, reads: str, backend: str, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Spikes, and the gradients of a random projection by current, beta and threshold."""
    # Where the current is constant in time, so is its leaf: the sum over time is tested too.
    constant = current.stride(0) == 0 and current.shape[0] > 1
    leaf = (current[0] if constant else current).detach().to(dtype).requires_grad_()
    kind = dtype if dtype == torch.float64 else torch.float32
    beta, threshold = (x.detach().to(kind).requires_grad_() for x in (p.beta, p.threshold))
    p = replace(p, beta=beta, threshold=threshold, slope=p.slope.to(kind), scale=p.scale.to(kind))
    spk, v = lif_scan(leaf.expand(current.shape) if constant else leaf, p, backend)
    weight = torch.randn(spk.shape, generator=torch.Generator().manual_seed(1))
    # Of what bfloat16 holds, so that spikes in it pass back what those in float64 do.
    weight = weight.bfloat16().to(kind)
    loss = v.new_zeros(())
    if reads == "mean over time":
        loss = (spk.to(kind).mean(0) * weight[0]).sum()
    if reads in ("spikes", "both"):
        loss = loss + (spk.to(kind) * weight).sum()
    if reads in ("membrane", "both"):
        loss = loss + 0.3 * (v * weight.flip(0)).sum()
    leaves = (leaf, beta, threshold)
    return spk.detach(), *torch.autograd.grad(loss, leaves, materialize_grads=True)


@given(case=cases(most_steps=64), reads=st.sampled_from(READS))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_gradients_are_those_of_float64(case: Any, reads: str) -> None:
    """Where float64 fires alike: what float32 itself is off by grows with the number of steps."""
    spk, *found = gradients(*case, reads, "numba", torch.float32)
    expected_spk, *expected = gradients(*case, reads, "reference", torch.float64)
    assume(torch.equal(spk.double(), expected_spk))
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert_near(a.double(), b, 1e-5)


@given(case=cases(most_steps=64), reads=st.sampled_from(READS[:3]))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_half_precision_is_read_as_it_is(case: Any, reads: str) -> None:
    current, p = case
    half = current.detach().bfloat16()
    if current.stride(0) == 0:
        half = half[0].expand(current.shape)
    spk, v = lif_scan(half, p, "numba")
    expected = lif_scan(half.float(), p, "reference")
    assert spk.dtype == torch.bfloat16 and v.dtype == torch.float32
    assert torch.equal(spk.float(), expected[0]) and torch.equal(v, expected[1])
    spk, *found = gradients(half, p, reads, "numba", torch.bfloat16)
    expected_spk, *exact = gradients(half, p, reads, "reference", torch.float64)
    assume(torch.equal(spk.double(), expected_spk))
    assert found[0].dtype == torch.bfloat16
    assert_near(found[0].double(), exact[0], 2**-8 + 1e-5)  # rounded to bfloat16 once
    for a, b in zip(found[1:], exact[1:], strict=True):
        assert_near(a.double(), b, 1e-5)


@given(
    case=cases(),
    statistic=st.sampled_from(("mean", "final")),
    granularity=st.sampled_from(("layer", "channel")),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_statistics_are_those_of_the_membrane(case: Any, statistic: str, granularity: Any) -> None:
    """Their values against float64, their gradients against those of the plain operators."""
    current, p = case
    current = current.detach().contiguous().requires_grad_()
    how = record(statistic=statistic, granularity=granularity)
    _, v, found = lif_scan_sampled(current, p, how, False, "numba")
    assert v is None
    _, reference_v, expected = lif_scan_sampled(current, p, how, True, "reference")
    assert reference_v is not None
    v64 = reference_v.detach().double()
    u = v64.mean(0) if statistic == "mean" else v64[-1]
    per_channel = granularity == "channel" and u.dim() > 1
    axes = (0, *range(2, u.dim())) if per_channel else tuple(range(u.dim()))
    m2 = u.var(axes, correction=0) * (u.numel() / found.layer.mean.numel())
    for a, b in ((found.layer.mean, u.mean(axes)), (found.layer.m2, m2)):
        torch.testing.assert_close(a.detach().double(), b, rtol=1e-6, atol=1e-6)
    assert found.neurons is not None
    m2 = u.var(0, correction=0) * len(u)
    for a, b in ((found.neurons.mean, u.mean(0)), (found.neurons.m2, m2)):
        torch.testing.assert_close(a.double(), b, rtol=1e-6, atol=1e-6)
    assert found.layer.count == expected.layer.count
    torch.testing.assert_close(found.shares[:3], expected.shares[:3], rtol=1e-5, atol=1e-6)
    assert abs(float(found.rho - expected.rho)) <= 2.0 / u.numel()  # one that rounds the other way

    def gradient(sample: Sample) -> tuple[Tensor, ...]:
        loss = (sample.layer.mean * 3.0 + sample.layer.m2).sum()
        leaves = (current, p.beta, p.threshold)
        return torch.autograd.grad(loss, leaves, materialize_grads=True)

    for a, b in zip(gradient(found), gradient(expected), strict=True):
        assert_near(a, b, 1e-5)


def test_a_layer_that_does_not_move_has_no_spread_at_all() -> None:
    p = parameters((40, 6, 7), "scalar", ("none", "step", "unit"))
    *_, sample = lif_scan_sampled(torch.full((3, 2, 40, 6, 7), 0.1), p, record(), False, "numba")
    assert float(sample.layer.m2) == 0.0 and float(sample.rho) == 1.0


@pytest.mark.parametrize("value", (1e30, float("inf"), float("nan")))
@pytest.mark.parametrize("granularity", ("layer", "channel"))
def test_a_training_that_diverges_is_not_stopped_here(value: float, granularity: Any) -> None:
    current = make_current((3, 2, 4, 3, 3), "contiguous")
    current[0, 0, 1] = value
    current.requires_grad_()
    p = parameters((4, 3, 3), "channel", ("zero", "step", "decay"))
    how = record(granularity=granularity)
    for backend in ("numba", "in_place"):
        spk, _, sample = lif_scan_sampled(current, p, how, False, backend)
        assert torch.equal(spk, lif_spikes(current, p, "reference"))
        m2 = sample.layer.m2.detach().flatten()[-1 if granularity == "layer" else 1]
        assert not math.isfinite(m2)
        (spk.sum() + sample.layer.m2.sum()).backward()


def test_threads_do_not_change_a_bit() -> None:
    current = make_current((4, 16, 32, 16, 16), "contiguous").requires_grad_()
    p = parameters((32, 16, 16), "channel", ("subtract", "step", "decay"), learns=True)

    def run(threads: int) -> list[Tensor]:
        torch.set_num_threads(threads)
        spk, _, sample = lif_scan_sampled(current, p, record(), False, "numba")
        loss = spk.sum() + sample.layer.mean + sample.layer.m2
        grads = torch.autograd.grad(loss, (current, p.beta, p.threshold))
        return [spk, sample.layer.m2, sample.shares, *grads]

    before = torch.get_num_threads()
    try:
        assert all(torch.equal(a, b) for a, b in zip(run(1), run(2), strict=True))
    finally:
        torch.set_num_threads(before)


def test_a_training_step_holds_spikes_and_gradient_alone() -> None:
    """Peak above the input: those two, and U where statistics are taken."""
    from benchmarks.measure import peak_memory

    layer = MPOLeaky(0.5, backend="numba")
    mpo = MPO(nn_of(layer), MPOSettings(lambda_dist=0.01))
    x = make_current((4, 8, 16, 16, 16), "contiguous").requires_grad_()
    grad = torch.ones_like(x)

    def train() -> None:
        torch.autograd.backward((layer.scan_spikes(x), mpo.regularizer()), (grad, None))

    train()
    x.grad = None
    assert peak_memory(train, "cpu") <= 2.02 * x.numel() * x.element_size()


def nn_of(layer: MPOLeaky) -> torch.nn.Module:
    return torch.nn.Sequential(layer)


@pytest.mark.parametrize(
    ("change", "current", "reason"),
    [
        ({"surrogate": torch.sigmoid}, torch.zeros(2, 2, 3), "its surrogate is a function"),
        ({}, torch.zeros(2, 2, 3, dtype=torch.float64), "its input is float64"),
        ({}, torch.zeros(2, 0, 3), "its input is empty"),
        ({}, torch.zeros(2, 2, 6)[..., ::2], "its input is not dense in memory"),
        ({"beta": torch.tensor(0.5).double()}, torch.zeros(2, 2, 3), "are not float32"),
    ],
)
def test_what_it_cannot_run_is_said_and_runs_elsewhere(
    change: Any, current: Tensor, reason: str
) -> None:
    p = replace(parameters((3,), "scalar", ("zero", "step", "decay")), **change)
    with pytest.raises(RecipeError, match=f"backend numba: .*{reason}"):
        lif_scan(current, p, "numba")
    assert torch.equal(lif_scan(current, p)[0], lif_scan(current, p, "reference")[0])


def test_it_is_the_default_on_a_cpu_and_without_it_the_message_is_plain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert default_backend("cpu") == "numba" and "numba" in BACKENDS
    monkeypatch.setattr("mpo_snn.kernels._installed", {"numba": False, "triton": False})
    assert default_backend("cpu") == "in_place"
    p = parameters((3,), "scalar", ("zero", "step", "decay"))
    with pytest.raises(RecipeError, match=r"numba is not installed .*mpo-snn\[fast\]"):
        lif_scan(torch.zeros(2, 2, 3), p, "numba")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("statistic", ("none", "mean"))
def test_the_operator_is_as_torch_wants_it(layout: str, statistic: str) -> None:
    from mpo_snn.kernels.lif_op import lif_scan as operator

    current = make_current((3, 2, 4, 3, 3), layout)
    p = parameters((4, 3, 3), "channel", ("zero", "step", "decay"), learns=True)
    tensors = (current.detach().requires_grad_(), p.beta, p.threshold, p.slope, p.scale)
    observed = statistic != "none"
    wanted = (True, statistic, 1.0, observed, observed, observed, observed)
    arguments = (*tensors, "zero", "step", "decay", "sigmoid", *wanted)
    torch.library.opcheck(operator, arguments)


def test_a_layer_compiles_into_one_graph() -> None:
    layer = MPOLeaky(0.5)
    compiled = torch.compile(layer.scan_spikes, fullgraph=True, backend="aot_eager")
    x = make_current((4, 2, 8), "contiguous").requires_grad_()
    found, expected = compiled(x), layer.scan_spikes(x)
    assert torch.equal(found, expected)
    a, b = (torch.autograd.grad(spk.sum(), x)[0] for spk in (found, expected))
    assert torch.equal(a, b)


def test_a_process_can_fork_after_threads_have_run() -> None:
    program = """
import multiprocessing, torch
from mpo_snn.leaky import MPOLeaky
torch.set_num_threads(2)
layer, x = MPOLeaky(0.5, backend="numba"), torch.ones(4, 8, 16, 16, 16)
def run(_=None):
    return int(layer.scan_spikes(x).numpy().sum())  # torch's own sum hangs in such a child
here = run()
with multiprocessing.get_context("fork").Pool(1) as pool:
    assert pool.map(run, [None]) == [here]
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr


def sampled(current: Tensor, p: LIFParameters, **more: Any) -> list[Tensor]:
    *_, sample = lif_scan_sampled(current, p, record(**more), False, "numba")
    assert sample.neurons is not None
    layer, neurons = sample.layer, sample.neurons
    return [layer.mean, layer.m2, sample.shares, neurons.mean, neurons.m2]


def test_another_default_dtype_changes_no_statistics() -> None:
    current = make_current((4, 3, 2, 3, 5), "contiguous", 0)
    p = parameters((2, 3, 5), "scalar", ("zero", "step", "decay"))
    expected = sampled(current, p)
    torch.set_default_dtype(torch.float64)
    try:
        found = sampled(current, p)
    finally:
        torch.set_default_dtype(torch.float32)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == torch.float32 and torch.equal(a, b)


@pytest.mark.parametrize("features", [(1,), (1, 1), (1, 3), (1, 1, 1)])
def test_a_single_channel_is_a_layer_whatever_its_stride(features: tuple[int, ...]) -> None:
    p = parameters((), "scalar", ("zero", "step", "decay"))
    size = math.prod(features)
    odd = (3 * size, size, 1000, *(1 for _ in features[1:]))[: 2 + len(features)]
    current = torch.empty_strided((5, 3, *features), odd)
    current.copy_(torch.randn(current.shape, generator=torch.Generator().manual_seed(0)))
    found = sampled(current, p, granularity="channel")
    expected = sampled(current, p)
    assert found[0].shape == (1,)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a.reshape(b.shape), b)
