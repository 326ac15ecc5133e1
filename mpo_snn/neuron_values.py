"""Values of a neuron's parameters: what is allowed, what is used, and how a message tells them."""

from __future__ import annotations

from typing import Any, get_args

import torch
from torch import Tensor, nn

from mpo_snn.errors import RecipeError, ShapeError
from mpo_snn.lif import InputGain, Reset, ResetTiming
from mpo_snn.settings import NeuronSettings, firing_findings
from mpo_snn.surrogate import Shape, WidthForm

THRESHOLD_FLOOR = 1e-3
"""A learnable threshold is used, tested and exported as max(threshold, this), in volt."""


class _Within(torch.autograd.Function):
    """Clamp, but with the gradient that leads a value outside back in.

    That of `torch.clamp` is 0 outside, so a learnt value that stepped over would stay there.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(value)
        ctx.low, ctx.high = low, high
        return value.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        (value,) = ctx.saved_tensors
        outward = ((value < ctx.low) & (grad > 0)) | ((value > ctx.high) & (grad < 0))
        return grad.masked_fill(outward, 0.0), None, None


def within(value: Tensor, low: float, high: float) -> Tensor:
    """A parameter as it is used: a learnable one clamped to its range, a fixed one as it is."""
    if not isinstance(value, nn.Parameter):
        return value
    return _Within.apply(value, low, high)  # type: ignore[no-any-return, no-untyped-call]


def check_choices(
    kind: str, reset: str, reset_timing: str, input_gain: str, surrogate: str, width_form: str
) -> None:
    """Refuse an unknown word among the arguments of a neuron of class `kind`.

    Raises:
        RecipeError: naming it and what is allowed.
    """
    choices = {
        "reset": (reset, Reset),
        "reset_timing": (reset_timing, ResetTiming),
        "input_gain": (input_gain, InputGain),
        "surrogate": (surrogate, Shape),
        "width_form": (width_form, WidthForm),
    }
    for name, (found, allowed) in choices.items():
        words = get_args(allowed)
        if found not in words:
            raise RecipeError(f"{kind}: {name} is '{found}', allowed are {', '.join(words)}.")


def check_firing(
    kind: str, reset: str, reset_timing: str, most_spikes: int, lower: float | None
) -> None:
    """Refuse numbers of spikes and lowest membranes that a neuron of class `kind` cannot have.

    Raises:
        RecipeError: with all findings.
    """
    found = firing_findings("", reset, reset_timing, most_spikes, lower)
    if found:
        raise RecipeError(f"cannot build {kind}", found)


def check_values(
    kind: str,
    leaks: dict[str, float | Tensor],
    threshold: float | Tensor,
    width: float | Tensor,
    input_gain: str,
) -> None:
    """Refuse numbers out of range among the arguments of a neuron of class `kind`.

    Args:
        kind: name of the class.
        leaks: beta, and alpha where it has one, by name.
        threshold: its firing threshold.
        width: width of its surrogate.
        input_gain: what its input is multiplied by.

    Raises:
        RecipeError: with all findings.
    """
    findings = []
    for name, leak in leaks.items():
        b = torch.as_tensor(leak).detach()
        if not bool(((b >= 0) & (b <= 1)).all()):
            findings.append(f"{name} is {short(b)}, allowed is 0 to 1.")
        elif input_gain == "decay" and bool((b == 1).any()):
            findings.append(
                f"{name} is 1 with input_gain 'decay', which deletes the input: use 'unit'."
            )
    for name, value in {"threshold": threshold, "width": width}.items():
        positive = torch.as_tensor(value).detach()
        if not bool((positive > 0).all() & torch.isfinite(positive).all()):
            findings.append(f"{name} is {short(positive)}, allowed is above 0.")
    if findings:
        raise RecipeError(f"cannot build {kind}", findings)


def start_value(
    value: float, learns: bool, settings: NeuronSettings, channels: int | None
) -> float | Tensor:
    """A parameter at the start of training: one number, or one per channel where it is learnt."""
    if not learns or settings.granularity == "layer":
        return value
    if channels is None:
        raise RecipeError("neuron.granularity is channel, but the number of channels is not given.")
    return torch.full((channels,), value)


def for_features(what: str, value: Tensor, shape: torch.Size) -> Tensor:
    """A parameter, shaped to broadcast against one step of input.

    Args:
        what: the parameter and its neuron, for the message.
        value: one number, one per channel or one per feature.
        shape: of the step, (batch, *features).

    Raises:
        ShapeError: if it is none of these.
    """
    if value.dim() == 0:
        return value
    if value.numel() == 1:
        return value.reshape(())
    features = shape[1:]
    channels = features[0] if features else 0
    if value.shape == (channels,):
        return value.reshape(-1, *[1] * (len(features) - 1))
    if value.shape in (features, (channels, *[1] * (len(features) - 1))):
        return value
    raise ShapeError(
        f"{what} has shape {tuple(value.shape)}, expected () or ({channels},) to match the"
        f" {channels} channels of its input {tuple(shape)}."
    )


def own_copy(value: float | Tensor) -> Tensor:
    """A given parameter as a tensor that nobody else holds."""
    if isinstance(value, Tensor):
        return value.detach().clone().to(torch.get_default_dtype())
    return torch.tensor(float(value))


def short(value: Tensor) -> str:
    """A parameter in a few characters, for messages."""
    value = value.detach()
    if value.numel() == 1:
        return f"{float(value):g}"
    return f"{float(value.min()):g}..{float(value.max()):g} {tuple(value.shape)}"
