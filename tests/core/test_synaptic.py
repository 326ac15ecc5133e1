"""`MPOSynaptic` against a float64 loop, `MPOLeaky`, and snnTorch where that is the equation."""

from __future__ import annotations

import copy
import itertools
import pickle
from typing import Any

import pytest
import snntorch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mpo_snn.errors import MpoError, RecipeError, ShapeError
from mpo_snn.kernels.scans import synapse_scan
from mpo_snn.leaky import MPOLeaky
from mpo_snn.mpo import MPO
from mpo_snn.neurons import neurons_of, reset_hidden
from mpo_snn.settings import NeuronSettings
from mpo_snn.synaptic import MPOSynaptic

RESETS = list(itertools.product(("zero", "subtract", "none"), ("step", "next")))
CHOICES = [(*reset, gain) for reset in RESETS for gain in ("unit", "decay")]


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype) * 0.6 + 0.3


def run(neuron: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes, currents and membranes of all steps, one call a step."""
    syn = mem = torch.zeros_like(x[0])
    steps = []
    for step in x:
        spk, syn, mem = neuron(step, syn, mem)
        steps.append((spk, syn, mem))
    spikes, currents, membranes = zip(*steps, strict=True)
    return torch.stack(spikes), torch.stack(currents), torch.stack(membranes)


def slow_loop(
    x: list[float], alpha: float, beta: float, threshold: float, *choice: str
) -> list[bool]:
    """Spikes of one neuron, in Python's float64."""
    reset, timing, gain = choice
    i, u, spk, spikes = 0.0, 0.0, False, []
    for value in x:
        i = alpha * i + (1 - alpha if gain == "decay" else 1.0) * value
        if timing == "next" and spk and reset == "zero":
            u = 0.0
        v = beta * u + (1 - beta if gain == "decay" else 1.0) * i
        if timing == "next" and spk and reset == "subtract":
            v -= threshold
        spk = v > threshold
        u = v
        if timing == "step" and spk:
            u = {"zero": 0.0, "subtract": v - threshold, "none": v}[reset]
        spikes.append(spk)
    return spikes


@pytest.mark.parametrize("choice", CHOICES)
@given(
    alphas=st.lists(st.sampled_from([0.0, 0.3, 0.8, 0.95]), min_size=3, max_size=3),
    betas=st.lists(st.sampled_from([0.0, 0.5, 0.9, 0.99]), min_size=3, max_size=3),
    threshold=st.floats(0.1, 2.0),
    scalar=st.booleans(),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_spikes_equal_the_slow_loop(
    choice: tuple[str, ...],
    alphas: list[float],
    betas: list[float],
    threshold: float,
    scalar: bool,
    seed: int,
) -> None:
    if scalar:
        alphas, betas = [alphas[0]] * 3, [betas[0]] * 3
    leaks = [torch.tensor(v[0] if scalar else v, dtype=torch.float64) for v in (alphas, betas)]
    x = noise(9, 2, 3, seed=seed, dtype=torch.float64)
    arguments = dict(zip(("reset", "reset_timing", "input_gain"), choice, strict=True))
    neuron = MPOSynaptic(*leaks, threshold, **arguments).double()  # type: ignore[arg-type]
    neuron.alpha, neuron.beta = leaks
    neuron.threshold = torch.tensor(threshold, dtype=torch.float64)
    spk, _ = neuron.scan(x)
    assert torch.equal(spk, run(neuron, x)[0])
    for b, c in itertools.product(range(2), range(3)):
        expected = slow_loop(x[:, b, c].tolist(), alphas[c], betas[c], threshold, *choice)
        assert spk[:, b, c].bool().tolist() == expected


def pair(reset: str, timing: str, **kwargs: Any) -> tuple[MPOSynaptic, nn.Module]:
    """The same neuron here and in snnTorch, with the same surrogate (a logistic of slope 4)."""
    leaks = torch.tensor([0.2, 0.6, 0.9]), torch.tensor([0.5, 0.8, 0.95])
    ours = MPOSynaptic(
        *leaks,
        0.9,
        reset=reset,  # type: ignore[arg-type]
        reset_timing=timing,  # type: ignore[arg-type]
        input_gain="unit",
        width=4.0,
        width_form="paper",
        **kwargs,
    )
    theirs = snntorch.Synaptic(
        *(leak.clone() for leak in leaks),
        threshold=0.9,
        spike_grad=snntorch.surrogate.sigmoid(slope=4.0),
        reset_mechanism=reset,
        reset_delay=timing == "next",
        **kwargs,
    )
    return ours, theirs


FOLLOWED = [("none", "step"), ("none", "next"), ("subtract", "next"), ("zero", "step")]


@pytest.mark.parametrize("choice", FOLLOWED)
def test_equal_to_snntorch_where_it_follows_the_equation(choice: tuple[str, str]) -> None:
    ours, theirs = pair(*choice)
    x = noise(12, 32, 3)
    expected = run(theirs, x)
    found = run(ours, x)
    assert 0.1 < float(expected[0].mean()) < 0.9
    assert torch.equal(found[0], expected[0]) and torch.equal(ours.scan(x)[0], expected[0])
    for a, b in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("choice", FOLLOWED[:3])
def test_gradients_are_those_of_snntorch(choice: tuple[str, str]) -> None:
    """By input, alpha, beta and threshold, for the resets that snnTorch detaches."""
    ours, theirs = pair(*choice, learn_alpha=True, learn_beta=True, learn_threshold=True)
    x = noise(6, 4, 3).requires_grad_()
    weight = noise(6, 4, 3, seed=5)
    grads = []
    for neuron, run_it in ((theirs, run), (ours, run), (ours, lambda n, i: n.scan(i))):
        leaves = [x, neuron.alpha, neuron.beta, neuron.threshold]
        spk = run_it(neuron, x)[0]
        grads.append(torch.autograd.grad((spk * weight).sum(), leaves))
    for found in grads[1:]:
        for a, b in zip(found, grads[0], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5 * max(1.0, float(b.abs().max())))


def test_snntorchs_delayed_zero_loses_the_current_of_the_step_after_a_spike() -> None:
    """Input 1, then 0: i = 1, 0.5; v = 1 (spike), then 0.5 from the reset membrane, not 0."""
    ours = MPOSynaptic(0.5, 0.5, 0.9, reset_timing="next", input_gain="unit")
    theirs = snntorch.Synaptic(0.5, 0.5, threshold=0.9, reset_mechanism="zero")
    x = torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1)
    assert ours.scan(x)[1].flatten().tolist() == [1.0, 0.5, 0.5]
    assert run(ours, x)[2].flatten().tolist() == [1.0, 0.5, 0.5]
    assert run(theirs, x)[2].flatten().tolist() == [1.0, 0.0, 0.25]


def test_above_twice_the_threshold_snntorch_gives_part_of_a_reset_back() -> None:
    """Input 3 over threshold 1, without memory in the synapse: `MPOLeaky`'s case."""
    ours = MPOSynaptic(0.0, 0.9, 1.0, reset="subtract", input_gain="unit")
    theirs = snntorch.Synaptic(
        0.0, 0.9, threshold=1.0, reset_mechanism="subtract", reset_delay=False
    )
    x = torch.tensor([3.0, 0.0, 0.0]).reshape(3, 1, 1)
    assert run(ours, x)[0].flatten().tolist() == [1.0, 1.0, 0.0]
    assert run(theirs, x)[0].flatten().tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("choice", CHOICES)
def test_alpha_0_is_the_leaky_neuron(choice: tuple[Any, ...]) -> None:
    arguments = dict(zip(("reset", "reset_timing", "input_gain"), choice, strict=True))
    x = noise(8, 4, 3)
    for a, b in zip(
        MPOSynaptic(0.0, 0.8, 0.4, **arguments).scan(x),
        MPOLeaky(0.8, 0.4, **arguments).scan(x),
        strict=True,
    ):
        assert torch.equal(a, b)


def test_constant_input_charges_the_synapse_as_its_closed_form() -> None:
    """Unit gain: x (1 - alpha^(t+1)) / (1 - alpha); `decay`: that by 1 - alpha."""
    alpha, x = torch.tensor(0.7, dtype=torch.float64), torch.full((6, 1, 1), 0.3).double()
    expected = 0.3 * (1 - 0.7 ** torch.arange(1, 7)) / 0.3
    for gain, factor in (("unit", 1.0), ("decay", 0.3)):
        found = synapse_scan(x, alpha, gain)  # type: ignore[arg-type]
        torch.testing.assert_close(found.flatten(), factor * expected.double(), rtol=1e-6, atol=0)


LAYOUTS = ("contiguous", "channels last", "batch first", "constant", "strided")


def laid_out(layout: str, dtype: torch.dtype) -> Tensor:
    steps, batch, features = 5, 2, (3, 2, 4)
    if layout == "channels last":
        flat = noise(steps * batch, *features, dtype=dtype)
        return flat.contiguous(memory_format=torch.channels_last).unflatten(0, (steps, batch))
    if layout == "batch first":
        return noise(batch, steps, *features, dtype=dtype).transpose(0, 1)
    if layout == "constant":
        flat = noise(batch, *features, dtype=dtype)
        return flat.contiguous(memory_format=torch.channels_last).expand(steps, batch, *features)
    if layout == "strided":
        return noise(steps, batch, *features, 2, dtype=dtype)[..., 1]
    return noise(steps, batch, *features, dtype=dtype)


@pytest.mark.parametrize("gain", ("unit", "decay"))
@pytest.mark.parametrize("per_channel", (False, True))
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_fast_scan_is_the_reference(layout: str, per_channel: bool, gain: Any) -> None:
    """Forward bit for bit; gradients of input and alpha to rounding; the layout is kept."""
    alpha = torch.tensor([0.0, 0.5, 0.9]).reshape(3, 1, 1) if per_channel else torch.tensor(0.8)
    x = laid_out(layout, torch.float32)
    results = []
    for backend in ("reference", "in_place"):
        source = x[0] if layout == "constant" else x
        leaves = [source.detach().requires_grad_(), alpha.clone().requires_grad_()]
        current = synapse_scan(leaves[0].expand(x.shape), leaves[1], gain, backend)
        weight = noise(*current.shape, seed=3)
        results.append((current, *torch.autograd.grad((current * weight).sum(), leaves)))
    assert torch.equal(results[0][0], results[1][0])
    for a, b in zip(results[1][1:], results[0][1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    if layout in ("channels last", "constant"):
        assert results[1][0][0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("gain", ("unit", "decay"))
@pytest.mark.parametrize("constant", (False, True))
@pytest.mark.parametrize("backend", ("reference", "in_place"))
def test_gradcheck_of_the_smooth_part(backend: str, constant: bool, gain: Any) -> None:
    """The membrane of a neuron that never fires, by input, alpha and beta, in float64."""
    x = noise(2, 3, dtype=torch.float64) if constant else noise(4, 2, 3, dtype=torch.float64)
    neuron = MPOSynaptic(
        0.5, 0.5, 1e6, input_gain=gain, learn_alpha=True, learn_beta=True, backend=backend
    ).double()

    def membrane(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        values = {"alpha": alpha, "beta": beta}
        current = x.expand(4, 2, 3) if constant else x
        state = {f"n.{name}": value for name, value in values.items()}
        found: Tensor = torch.func.functional_call(_Scan(neuron), state, (current,))
        return found

    leaks = [torch.tensor([0.2, 0.6, 0.9], dtype=torch.float64) * k for k in (1.0, 0.9)]
    leaves = [leaf.requires_grad_() for leaf in (x, *leaks)]
    assert torch.autograd.gradcheck(membrane, leaves)


class _Scan(nn.Module):
    def __init__(self, n: MPOSynaptic) -> None:
        super().__init__()
        self.n = n

    def forward(self, x: Tensor) -> Tensor:
        return self.n.scan(x)[1]


def test_hidden_state_is_kept_until_it_is_reset() -> None:
    ours, theirs = pair("subtract", "next", init_hidden=True)
    x = noise(5, 2, 3)
    for _ in range(2):
        expected = torch.stack([theirs(step) for step in x])
        assert torch.equal(torch.stack([ours(step) for step in x]), expected)
        reset_hidden(nn.Sequential(ours))
        theirs.reset_mem()
    assert ours.syn.numel() == ours.mem.numel() == 0


@pytest.mark.parametrize("start", ("reset_mem", "init_synaptic"))
def test_state_may_start_as_snntorch_starts_it(start: str) -> None:
    neuron = MPOSynaptic(0.5, 0.9)
    x = noise(4, 2, 3)
    (syn, mem), spikes = getattr(neuron, start)(), []
    for step in x:
        spk, syn, mem = neuron(step, syn, mem)
        spikes.append(spk)
    assert torch.equal(torch.stack(spikes), neuron.scan(x)[0])


def test_output_returns_current_and_membrane_of_a_hidden_neuron_too() -> None:
    spk, syn, mem = MPOSynaptic(0.5, 0.9, init_hidden=True, output=True)(torch.ones(2, 3))
    assert spk.shape == syn.shape == mem.shape == (2, 3)


def test_a_state_beside_the_hidden_one_is_refused() -> None:
    with pytest.raises(MpoError, match="cannot take `syn` or `mem` in MPOSynaptic"):
        MPOSynaptic(0.5, 0.9, init_hidden=True)(torch.ones(1, 2), torch.zeros(1, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 1.5}, "cannot build MPOSynaptic: alpha is 1.5, allowed is 0 to 1"),
        ({"alpha": 1.0}, "alpha is 1 with input_gain 'decay'"),
        ({"beta": -0.5}, "beta is -0.5"),
        ({"reset": "hard"}, "MPOSynaptic: reset is 'hard'"),
    ],
)
def test_values_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        MPOSynaptic(**{"alpha": 0.5, "beta": 0.9, **arguments})


def test_wrong_number_of_channels_is_told() -> None:
    neuron = MPOSynaptic(torch.full((5,), 0.5), 0.9)
    with pytest.raises(ShapeError, match=r"alpha of MPOSynaptic has shape \(5,\), expected \(\)"):
        neuron.scan(torch.zeros(2, 2, 3))


def test_settings_build_it_with_values_per_channel_where_they_are_learnt() -> None:
    neuron = MPOSynaptic.from_settings(
        NeuronSettings(
            model="synaptic", alpha=0.25, beta=0.75, learn_alpha=True, granularity="channel"
        ),
        channels=3,
    )
    assert neuron.alpha.tolist() == [0.25] * 3 and isinstance(neuron.alpha, nn.Parameter)
    assert neuron.beta.dim() == 0 and not neuron.beta.requires_grad
    assert neuron.init_hidden and "alpha=0.25..0.25 (3,), beta=0.75" in repr(neuron)


@pytest.mark.parametrize("how", ("deepcopy", "pickle"))
def test_a_copy_in_the_middle_of_a_graph_has_the_values_and_no_graph(how: str) -> None:
    neuron = MPOSynaptic(0.5, 0.9, 0.5, learn_alpha=True, init_hidden=True)
    before = list(snntorch.SpikingNeuron.instances)
    neuron(noise(2, 3).requires_grad_())
    twin = copy.deepcopy(neuron) if how == "deepcopy" else pickle.loads(pickle.dumps(neuron))
    assert twin.mem.numel() == twin.syn.numel() == 0 and neuron.syn.numel() == 6
    assert all(a is b for a, b in zip(snntorch.SpikingNeuron.instances, before, strict=True))
    x = noise(4, 2, 3)
    assert torch.equal(twin.scan(x)[0], neuron.scan(x)[0])


def test_mpo_works_on_it_and_finds_it_beside_leaky_ones() -> None:
    """The statistics are those of the membrane, by scan and by single steps alike."""
    network = nn.Sequential(MPOSynaptic(0.5, 0.8, 0.25), MPOLeaky(0.8, 0.1))
    assert list(neurons_of(network)) == ["0", "1"]
    x = noise(6, 8, 3)
    tables = []
    for by_scan in (True, False):
        twin = copy.deepcopy(network)
        mpo = MPO(twin)
        syn = mem = mem2 = torch.zeros(8, 3)
        if by_scan:
            spk, v = twin[0].scan(x)
            twin[1].scan(spk)
            u = v.mean(0)
        else:
            for step in x:
                spk, syn, mem = twin[0](step, syn, mem)
                _, mem2 = twin[1](spk, mem2)
        mpo.regularizer()
        mpo.step()
        tables.append(mpo.statistics())
    assert tables[0]["0"]["mu"] == pytest.approx(float(u.mean()), rel=1e-5)
    assert tables[0]["0"]["sigma"] == pytest.approx(float(u.std(correction=0)), rel=1e-5)
    for layer in ("0", "1"):
        assert tables[1][layer] == pytest.approx(tables[0][layer], rel=1e-5)


def test_a_learnt_value_that_stepped_outside_can_come_back() -> None:
    """Used clamped; the gradient is 0 only where it leads further out."""
    neuron = MPOSynaptic(0.9, 0.9, 0.5, learn_alpha=True)
    with torch.no_grad():
        neuron.alpha.fill_(1.2)
    for sign in (1.0, -1.0):
        neuron.alpha.grad = None
        used = neuron.synapse_leak()
        (sign * used).backward()  # type: ignore[no-untyped-call]
        assert float(used.detach()) == 1.0
        assert float(neuron.alpha.grad) == (1.0 if sign > 0 else 0.0)
