"""`MPOLeaky` against `snntorch.Leaky`, wherever that follows the equation, and on its own."""

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
from mpo_snn.leaky import MPOLeaky
from mpo_snn.neurons import neurons_of, reset_hidden
from mpo_snn.settings import NeuronSettings

CHOICES = list(itertools.product(("zero", "subtract", "none"), ("step", "next")))
SLOPE = 4.0


def pair(beta: Any, threshold: Any, reset: str, timing: str, **kwargs: Any) -> Any:
    """The same neuron here and in snnTorch, with the same surrogate (a logistic of slope 4)."""
    ours = MPOLeaky(
        beta,
        threshold,
        reset=reset,  # type: ignore[arg-type]
        reset_timing=timing,  # type: ignore[arg-type]
        input_gain="unit",
        width=SLOPE,
        width_form="paper",
        **kwargs,
    )
    theirs = snntorch.Leaky(
        torch.as_tensor(beta).clone(),
        torch.as_tensor(threshold).clone(),
        spike_grad=snntorch.surrogate.sigmoid(slope=SLOPE),
        reset_mechanism=reset,
        reset_delay=timing == "next",
        **kwargs,
    )
    return ours, theirs


def run(neuron: nn.Module, current: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes and returned membrane of all steps, one call a step."""
    mem = torch.zeros_like(current[0])
    steps = []
    for step in current:
        spk, mem = neuron(step, mem)
        steps.append((spk, mem))
    spikes, membranes = zip(*steps, strict=True)
    return torch.stack(spikes), torch.stack(membranes)


def noise(*shape: int, seed: int = 0, offset: float = 0.4) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + offset


@st.composite
def layers(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """Current (time, batch, channels) with beta and threshold, scalar or one per channel."""
    steps, batch, channels = draw(st.integers(1, 8)), draw(st.integers(1, 3)), 4
    current = noise(steps, batch, channels, seed=draw(st.integers(0, 2**32)))
    beta = torch.tensor(draw(st.sampled_from([0.0, 0.25, 0.9, 0.95, 1.0])))
    threshold = torch.tensor(draw(st.sampled_from([0.5, 1.0, 1.7])))
    if draw(st.booleans()):
        beta = torch.tensor([0.0, 0.5, 0.9, 1.0])
    if draw(st.booleans()):
        threshold = torch.tensor([0.3, 0.5, 1.0, 2.0])
    return current, beta, threshold


def within_twice_the_threshold(current: Tensor, beta: Tensor, threshold: Tensor) -> Tensor:
    """Bound the input so that v <= 2 threshold: then v - threshold <= threshold, and so on."""
    return torch.minimum(current, 0.999 * threshold * (2.0 - beta))


@pytest.mark.parametrize("choice", CHOICES)
@given(layer=layers())
@settings(max_examples=30, deadline=None, derandomize=True)
def test_equal_to_snntorch_spike_for_spike(
    choice: tuple[str, str], layer: tuple[Tensor, ...]
) -> None:
    current, beta, threshold = layer
    if choice == ("subtract", "step"):
        current = within_twice_the_threshold(current, beta, threshold)
    ours, theirs = pair(beta, threshold, *choice)
    spk, mem = run(ours, current)
    expected_spk, expected_mem = run(theirs, current)
    assert torch.equal(spk, expected_spk)
    torch.testing.assert_close(mem, expected_mem, rtol=0, atol=1e-6)
    scanned, v = ours.scan(current)
    assert torch.equal(scanned, expected_spk)
    if choice[1] == "next":
        torch.testing.assert_close(v, expected_mem, rtol=0, atol=1e-6)


def gradients_of(outputs: tuple[Tensor, Tensor], leaves: list[Tensor]) -> list[Tensor]:
    spk, mem = outputs
    weight = noise(*spk.shape, seed=5, offset=0.0)
    loss = (spk * weight).sum() + 0.3 * (mem * weight.flip(0)).sum()
    return list(torch.autograd.grad(loss, leaves))


@pytest.mark.parametrize("per_channel", (False, True))
@pytest.mark.parametrize("learn", (False, True))
@pytest.mark.parametrize(
    "choice", [*itertools.product(("zero", "subtract"), ("next",)), CHOICES[4]]
)
def test_gradients_are_those_of_snntorch(
    choice: tuple[str, str], learn: bool, per_channel: bool
) -> None:
    """By input, beta and threshold, to 1e-5, for the resets that snnTorch detaches."""
    beta: Any = torch.tensor([0.3, 0.8, 0.9]) if per_channel else 0.8
    threshold: Any = torch.tensor([0.5, 0.8, 1.0]) if per_channel else 0.8
    ours, theirs = pair(beta, threshold, *choice, learn_beta=learn, learn_threshold=learn)
    current = noise(6, 4, 3).requires_grad_()
    leaves = [[current, n.beta, n.threshold] if learn else [current] for n in (ours, theirs)]
    expected = gradients_of(run(theirs, current), leaves[1])
    found = [gradients_of(run(ours, current), leaves[0])]
    if choice[1] == "next" or choice[0] == "none":
        found.append(gradients_of(ours.scan(current), leaves[0]))
    for grads in found:
        for a, b in zip(grads, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-5 * max(1.0, float(b.abs().max())))


@pytest.mark.parametrize("choice", CHOICES)
def test_single_steps_and_scan_agree_with_gradients(choice: tuple[str, str]) -> None:
    neuron = MPOLeaky(
        0.8, 0.6, reset=choice[0], reset_timing=choice[1], learn_beta=True, learn_threshold=True
    )
    current = noise(6, 2, 3).requires_grad_()
    leaves = [current, neuron.beta, neuron.threshold]
    spk, _ = run(neuron, current)
    scanned, _ = neuron.scan(current)
    assert torch.equal(spk, scanned)
    weight = noise(6, 2, 3, seed=5, offset=0.0)
    expected = torch.autograd.grad((spk * weight).sum(), leaves)
    found = torch.autograd.grad((scanned * weight).sum(), leaves)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5 * max(1.0, float(b.abs().max())))


def test_above_twice_the_threshold_snntorch_gives_part_of_a_reset_back() -> None:
    """Input 3 over threshold 1: v = 3, then 2 left, then 0.9 * 2 = 1.8, a spike, then 0.72."""
    ours, theirs = pair(0.9, 1.0, "subtract", "step")
    current = torch.tensor([3.0, 0.0, 0.0]).reshape(3, 1, 1)
    slow, spikes = 0.0, []
    for i in current.flatten().tolist():
        slow = 0.9 * slow + i
        spikes.append(float(slow > 1.0))
        slow -= spikes[-1]
    assert spikes == [1.0, 1.0, 0.0]
    assert run(ours, current)[0].flatten().tolist() == spikes
    assert run(theirs, current)[0].flatten().tolist() == [1.0, 0.0, 0.0]


def test_hidden_state_is_kept_until_it_is_reset() -> None:
    """Called as snnTorch's `init_hidden` neuron is."""
    ours, theirs = pair(0.9, 1.0, "zero", "next", init_hidden=True)
    current = noise(5, 2, 3)
    for _ in range(2):
        expected = torch.stack([theirs(step) for step in current])
        assert torch.equal(torch.stack([ours(step) for step in current]), expected)
        reset_hidden(nn.Sequential(ours))
        theirs.reset_mem()


@pytest.mark.parametrize("start", ("reset_mem", "init_leaky"))
def test_state_may_start_as_snntorch_starts_it(start: str) -> None:
    ours, _ = pair(0.9, 1.0, "zero", "next")
    current = noise(4, 2, 3)
    mem, spikes = getattr(ours, start)(), []
    for step in current:
        spk, mem = ours(step, mem)
        spikes.append(spk)
    assert torch.equal(torch.stack(spikes), ours.scan(current)[0])


def test_output_returns_the_membrane_of_a_hidden_neuron_too() -> None:
    neuron = MPOLeaky(0.9, init_hidden=True, output=True)
    spk, mem = neuron(torch.ones(2, 3))
    assert spk.shape == mem.shape == (2, 3)


def test_a_state_beside_the_hidden_one_is_refused() -> None:
    with pytest.raises(MpoError, match="keeps its own state"):
        MPOLeaky(0.9, init_hidden=True)(torch.ones(1, 2), torch.zeros(1, 2))


def test_scan_leaves_the_kept_state_alone() -> None:
    neuron = MPOLeaky(0.9, init_hidden=True)
    neuron(torch.ones(1, 2))
    before = neuron.mem.clone()
    neuron.scan(torch.ones(3, 1, 2))
    assert torch.equal(neuron.mem, before)


@pytest.mark.parametrize("shape", ((3,), (3, 5), (3, 4, 5)))
def test_parameters_per_channel_act_on_the_first_feature_axis(shape: tuple[int, ...]) -> None:
    beta, threshold = torch.tensor([0.0, 0.5, 0.9]), torch.tensor([0.3, 0.6, 0.9])
    neuron = MPOLeaky(beta, threshold)
    current = noise(5, 2, *shape)
    spk, v = neuron.scan(current)
    for c in range(3):
        alone = MPOLeaky(beta[c], threshold[c]).scan(current[:, :, c : c + 1])
        assert torch.equal(spk[:, :, c : c + 1], alone[0])
        assert torch.equal(v[:, :, c : c + 1], alone[1])


@pytest.mark.parametrize("form", ((3, 1, 1), (3, 4, 5)))
def test_parameters_may_come_in_the_shape_of_the_features(form: tuple[int, ...]) -> None:
    beta = torch.linspace(0.1, 0.9, 3).reshape(3, 1, 1).expand(form).clone()
    current = noise(5, 2, 3, 4, 5)
    expected, _ = MPOLeaky(torch.linspace(0.1, 0.9, 3)).scan(current)
    assert torch.equal(MPOLeaky(beta).scan(current)[0], expected)


@pytest.mark.parametrize(
    ("beta", "shape"),
    [
        ((5,), (2, 3)),
        ((5,), (2, 3, 4, 4)),
        ((5, 1, 1), (2, 3, 4, 4)),
        ((4,), (2, 3, 4)),
        ((2,), (2,)),
    ],
)
def test_wrong_number_of_channels_is_told(beta: tuple[int, ...], shape: tuple[int, ...]) -> None:
    neuron = MPOLeaky(torch.full(beta, 0.5), init_hidden=True)
    channels = shape[1] if len(shape) > 1 else 0
    with pytest.raises(ShapeError, match=rf"expected \(\) or \({channels},\)") as told:
        neuron(torch.zeros(shape))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("shape", ((0, 2, 3), (4,)))
def test_scan_needs_time_and_batch(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"\(time, batch, \.\.\.\)"):
        MPOLeaky(0.9).scan(torch.zeros(shape))


def test_other_features_than_those_of_the_gain_are_told() -> None:
    neuron = MPOLeaky(0.9)
    neuron.gain = torch.ones(3)
    neuron.scan(torch.ones(2, 1, 3))
    with pytest.raises(ShapeError, match=r"\(3,\) and now gets \(4,\)"):
        neuron.scan(torch.ones(2, 1, 4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta": 1.5}, "beta is 1.5, allowed is 0 to 1"),
        ({"beta": -0.1}, "beta is -0.1"),
        ({"beta": float("nan")}, "beta is nan"),
        ({"beta": torch.tensor([0.5, 2.0])}, r"beta is 0.5..2 \(2,\)"),
        ({"beta": 1.0}, "deletes the input: use 'unit'"),
        ({"threshold": 0.0}, "threshold is 0, allowed is above 0"),
        ({"threshold": float("inf")}, "threshold is inf"),
        ({"width": 0.0}, "width is 0"),
        ({"reset": "hard"}, "reset is 'hard', allowed are zero, subtract, none"),
        ({"reset_timing": "soon"}, "reset_timing is 'soon', allowed are step, next"),
        ({"input_gain": "double"}, "input_gain is 'double', allowed are decay, unit"),
    ],
)
def test_values_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as told:
        MPOLeaky(**{"beta": 0.9, **arguments})
    assert "\n" not in str(told.value)


def test_all_findings_are_told_at_once() -> None:
    with pytest.raises(RecipeError) as told:
        MPOLeaky(2.0, -1.0, width=-1.0)
    assert len(told.value.findings) == 3


def test_beta_1_with_unit_gain_is_integrate_and_fire() -> None:
    spk, v = MPOLeaky(1.0, 1.0, input_gain="unit").scan(torch.full((4, 1, 1), 0.375))
    assert v.flatten().tolist() == [0.375, 0.75, 1.125, 0.375]
    assert spk.flatten().tolist() == [0, 0, 1, 0]


def test_learnable_values_are_used_inside_their_range() -> None:
    neuron = MPOLeaky(0.9, 0.5, learn_beta=True, learn_threshold=True)
    with torch.no_grad():
        neuron.beta.fill_(1.3)
        neuron.threshold.fill_(-2.0)
    beta, threshold = neuron.values()
    assert float(beta.detach()) == 1.0
    assert float(threshold.detach()) == pytest.approx(1e-3)


def test_a_given_tensor_is_copied() -> None:
    beta = torch.tensor([0.5, 0.6])
    neuron = MPOLeaky(beta)
    beta.zero_()
    assert neuron.beta.tolist() == pytest.approx([0.5, 0.6])


def test_settings_build_the_same_neuron() -> None:
    neuron = MPOLeaky.from_settings(
        NeuronSettings(
            beta=0.25,
            threshold=0.75,
            reset="subtract",
            reset_timing="next",
            input_gain="unit",
            learn_beta=True,
            learn_threshold=True,
            surrogate="triangle",
            width=0.3,
            width_form="scale",
            backend="reference",
        )
    )
    assert (float(neuron.beta.detach()), float(neuron.threshold.detach())) == (0.25, 0.75)
    assert (neuron.reset_kind, neuron.reset_timing, neuron.input_gain) == (
        "subtract",
        "next",
        "unit",
    )
    assert neuron.init_hidden and neuron.beta.requires_grad and neuron.threshold.requires_grad
    assert neuron.backend == "reference"
    assert neuron.surrogate == "triangle" and float(neuron.slope) == pytest.approx(1 / 0.3)
    given = MPOLeaky.from_settings(NeuronSettings(surrogate="arctan", slope=4.0))
    assert float(given.slope) == pytest.approx(4.0)


def test_nothing_stays_in_snntorchs_list_of_instances() -> None:
    other = snntorch.Leaky(0.9)
    before = list(snntorch.SpikingNeuron.instances)
    neurons = [MPOLeaky(0.9), MPOLeaky.from_settings(NeuronSettings())]
    copy.deepcopy(neurons)
    assert all(a is b for a, b in zip(snntorch.SpikingNeuron.instances, before, strict=True))
    assert any(instance is other for instance in snntorch.SpikingNeuron.instances)


@pytest.mark.parametrize("how", ("deepcopy", "pickle"))
def test_a_copy_in_the_middle_of_a_graph_has_the_values_and_no_graph(how: str) -> None:
    neuron = MPOLeaky(0.9, 0.5, learn_beta=True, init_hidden=True)
    neuron.gain = torch.tensor([0.5, 1.0, 1.5])
    neuron(noise(2, 3).requires_grad_())
    assert neuron.mem.requires_grad
    twin = copy.deepcopy(neuron) if how == "deepcopy" else pickle.loads(pickle.dumps(neuron))
    assert twin.mem.numel() == 0 and neuron.mem.numel() == 6
    assert twin.beta.requires_grad and torch.equal(twin.gain, neuron.gain)
    current = noise(4, 2, 3)
    assert torch.equal(twin.scan(current)[0], neuron.scan(current)[0])


def test_state_dict_round_trip_gives_the_same_spikes_and_slope() -> None:
    neuron = MPOLeaky(torch.tensor([0.1, 0.9]), 0.3, learn_beta=True)
    neuron.width.fill_(0.123)
    neuron.height.fill_(1.7)
    other = MPOLeaky(torch.tensor([0.5, 0.5]), 0.8, learn_beta=True)
    other.load_state_dict(neuron.state_dict())
    current = noise(5, 2, 2)
    assert torch.equal(other.scan(current)[0], neuron.scan(current)[0])
    assert torch.equal(other.slope, neuron.slope) and torch.equal(other.height, neuron.height)


@pytest.mark.parametrize("beta", (0.9, torch.tensor([0.9, 0.8, 0.7])))
def test_under_autocast_the_membrane_stays_in_float32(beta: Any) -> None:
    neuron = MPOLeaky(beta, init_hidden=True)
    current = noise(5, 2, 3).bfloat16()
    spk, v = neuron.scan(current)
    assert v.dtype == torch.float32
    assert torch.equal(spk, torch.stack([neuron(step) for step in current]))
    assert torch.equal(v, neuron.scan(current.float())[1])


def test_the_neurons_of_a_network_are_found_by_name() -> None:
    network = nn.Sequential(nn.Linear(2, 3), MPOLeaky(0.9), nn.Sequential(MPOLeaky(0.8)))
    assert list(neurons_of(network)) == ["1", "2.0"]


def test_printing_shows_the_settings() -> None:
    text = repr(MPOLeaky(torch.tensor([0.5, 0.9]), 0.5, reset="subtract", reset_timing="next"))
    assert "beta=0.5..0.9 (2,), threshold=0.5, reset=subtract/next, input_gain=decay" in text
