"""`MPOLeaky`: snnTorch's Leaky with a named reset, a surrogate that MPO steers, and a fast scan.

The equations are in `mpo_snn.lif`. This module only holds parameters and state. What every MPO
neuron shares is in `MPONeuron`; `mpo_snn.synaptic` has the other kind.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self, get_args

import snntorch
import torch
from torch import Tensor, nn

from mpo_snn.errors import MpoError, RecipeError, ShapeError
from mpo_snn.kernels import lif_scan, lif_scan_observed
from mpo_snn.lif import InputGain, LIFParameters, Reset, ResetTiming, lif_step
from mpo_snn.membrane import MembraneRecord
from mpo_snn.settings import HeightNorm, NeuronSettings
from mpo_snn.surrogate import (
    Shape,
    SpikeGrad,
    Surrogate,
    WidthForm,
    slope_of_width,
    surrogate_derivative,
    width_of_slope,
)

THRESHOLD_FLOOR = 1e-3
"""A learnable threshold is used, tested and exported as max(threshold, this), in volt."""
WIDTH_FLOOR = 1e-3
"""Likewise a width: a surrogate narrower than this passes no gradient worth having."""


class MPONeuron(nn.Module):
    """What MPO neurons share: surrogate, reset, scan over time, record of the membrane.

    A child also inherits a neuron of snnTorch, which holds beta, threshold and the state. MPO,
    `Unrolled` and export know the neurons of a network by this class.

    Attributes:
        states: names of the tensors that are carried from step to step, in the order in which
            a single step returns them behind the spikes.
        width: width of the surrogate in volt, a number or one per channel.
        height: height of the surrogate, one a layer.
        gain: gradient gain of each neuron, or one number.
        rms: root mean square of the surrogate over the membranes, for `height_norm`.
    """

    states: ClassVar[tuple[str, ...]] = ("mem",)

    beta: Tensor
    threshold: Tensor
    width: Tensor
    height: Tensor
    gain: Tensor
    rms: Tensor
    mem: Tensor
    init_hidden: bool
    output: bool
    reset_mechanism: Any

    def _set_up(
        self,
        reset_timing: ResetTiming,
        input_gain: InputGain,
        surrogate: Shape,
        width: float | Tensor,
        width_form: WidthForm,
        spike_grad: SpikeGrad | None,
        backend: str | None,
    ) -> None:
        """Add what snnTorch's neuron, built before, does not have."""
        _forget_instance(self)
        self.reset_timing: ResetTiming = reset_timing
        self.input_gain: InputGain = input_gain
        self.surrogate_shape: Shape = surrogate
        self.width_form: WidthForm = width_form
        self.own_spike_grad = spike_grad
        self.height_norm: HeightNorm = "none"
        self.channels: int | None = None
        self.backend = backend
        self.record: MembraneRecord | None = None
        self.register_buffer("width", own_copy(width))
        self.register_buffer("height", torch.tensor(1.0))
        self.register_buffer("gain", torch.tensor(1.0), persistent=False)
        self.register_buffer("rms", torch.tensor(1.0), persistent=False)

    @classmethod
    def from_settings(cls, settings: NeuronSettings, channels: int | None = None) -> Self:
        """A layer that keeps its own state, as the shipped networks use it.

        Args:
            settings: which neuron.
            channels: how many values a parameter has that is learnt per channel.

        Raises:
            RecipeError: if channels is needed and absent.
        """
        return cls(**cls._arguments(settings, channels))

    @classmethod
    def _arguments(cls, settings: NeuronSettings, channels: int | None) -> dict[str, Any]:
        return {
            "beta": start_value(settings.beta, settings.learn_beta, settings, channels),
            "threshold": start_value(
                settings.threshold, settings.learn_threshold, settings, channels
            ),
            "reset": settings.reset,
            "reset_timing": settings.reset_timing,
            "input_gain": settings.input_gain,
            "learn_beta": settings.learn_beta,
            "learn_threshold": settings.learn_threshold,
            "init_hidden": True,
            "surrogate": settings.surrogate,
            "width": settings.width,
            "width_form": settings.width_form,
            "slope": settings.slope,
            "backend": settings.backend,
        }

    @property
    def reset_kind(self) -> Reset:
        """`zero`, `subtract` or `none`, as built; a loaded state dict does not change it."""
        kind: Reset = self.reset_mechanism
        return kind

    @property
    def slope(self) -> Tensor:
        """Slope of the surrogate, 1/volt; a number or one per channel."""
        width = self.width.detach().clamp(min=WIDTH_FLOOR)
        return slope_of_width(width, self.width_form, self.surrogate_shape)

    @property
    def surrogate(self) -> Surrogate:
        """The shape of the surrogate, or the function that was given in its place."""
        return self.own_spike_grad or self.surrogate_shape

    def surrogate_scale(self, slope: Tensor) -> Tensor:
        """Height times gain, and what `height_norm` divides by; broadcast as slope is."""
        scale = self.height * self.gain
        if self.height_norm == "peak":
            return scale / surrogate_derivative(torch.zeros_like(slope), slope, self.surrogate)
        return scale / self.rms if self.height_norm == "rms" else scale

    def values(self) -> tuple[Tensor, Tensor]:
        """Beta and threshold as they are used: what is tested and exported."""
        return within(self.beta, 0.0, 1.0), within(self.threshold, THRESHOLD_FLOOR, math.inf)

    def parameters_for(self, step: Tensor) -> LIFParameters:
        """The parameters, shaped to broadcast against one step of input (batch, *features).

        Raises:
            ShapeError: if a per-channel parameter, or the gain that MPO found for each neuron,
                does not match the input.
        """
        if self.gain.dim() and self.gain.shape != step.shape[1:]:
            raise ShapeError(
                f"{type(self).__name__} was trained on features of shape"
                f" {tuple(self.gain.shape)} and now gets {tuple(step.shape[1:])}: its gain per"
                " neuron does not fit; keep the shape, or use MPOSettings(neuron_gain=False)."
            )
        beta, threshold = self.values()
        slope = self.per_channel("width", self.slope, step)
        return LIFParameters(
            beta=self.per_channel("beta", beta, step),
            threshold=self.per_channel("threshold", threshold, step),
            slope=slope,
            scale=self.surrogate_scale(slope),
            reset=self.reset_kind,
            reset_timing=self.reset_timing,
            input_gain=self.input_gain,
            surrogate=self.surrogate,
        )

    def per_channel(self, name: str, value: Tensor, step: Tensor) -> Tensor:
        """A parameter, shaped to broadcast against one step of input (batch, *features).

        Raises:
            ShapeError: if it is neither one number nor one per channel or feature.
        """
        if value.numel() == 1:
            return value.reshape(())
        features = step.shape[1:]
        channels = features[0] if features else 0
        if value.shape == (channels,):
            return value.reshape(-1, *[1] * (len(features) - 1))
        if value.shape in (features, (channels, *[1] * (len(features) - 1))):
            return value
        raise ShapeError(
            f"{name} of {type(self).__name__} has shape {tuple(value.shape)}, expected () or"
            f" ({channels},) to match the {channels} channels of its input {tuple(step.shape)}."
        )

    def scan(self, current: Tensor) -> tuple[Tensor, Tensor]:
        """All timesteps at once, from the membrane at rest; the kept state is not touched.

        Args:
            current: (time, batch, *features) in volt; a time stride of 0 marks a constant input.

        Returns:
            spikes and membrane before reset, of the shape of current.

        Raises:
            ShapeError: if there is no time step or no batch axis.
        """
        if current.dim() < 2 or current.shape[0] == 0:
            raise ShapeError(
                f"input of {type(self).__name__}.scan has shape {tuple(current.shape)}, expected"
                " (time, batch, ...) with at least one time step."
            )
        p = self.parameters_for(current[0])
        current = self._membrane_current(current)
        if self.record is None or not self._is_recording():
            return self._run(current, p)
        spk, v, *observed = self._run_observed(current, p, self.record)
        self.record.add_sequence(*observed)
        return spk, v

    def _run(self, current: Tensor, p: LIFParameters) -> tuple[Tensor, Tensor]:
        """Spikes and membrane of all timesteps, from the membrane at rest."""
        return lif_scan(current, p, self.backend)

    def _run_observed(
        self, current: Tensor, p: LIFParameters, record: MembraneRecord
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The same, with what the record wants to know of it (`mpo_snn.membrane.observe`)."""
        return lif_scan_observed(current, p, record.statistic, record.power, self.backend)

    def _membrane_current(self, x: Tensor) -> Tensor:
        """What drives the membrane at every timestep, from the input of `scan`."""
        return x

    def _step(self, current: Tensor, mem: Tensor) -> Tensor:
        """Spikes of one timestep; the membrane to carry is kept in `mem`."""
        p = self.parameters_for(current)
        spk, v, self.mem = lif_step(current, mem, p)
        if self._is_recording():
            self.record.add_step(v, spk, p)  # type: ignore[union-attr]
        return spk

    @staticmethod
    def _state_like(state: Tensor, input_: Tensor) -> Tensor:
        """The state, or one at rest where it is empty or of another shape."""
        return state if state.shape == input_.shape else torch.zeros_like(input_)

    def _refuse_state(self, *given: Tensor | None) -> None:
        if self.init_hidden and any(state is not None for state in given):
            names = " or ".join(f"`{name}`" for name in self.states)
            raise MpoError(
                f"cannot take {names} in {type(self).__name__}: it keeps its own state"
                " (init_hidden=True). Call it with the input alone, or build it with"
                " init_hidden=False."
            )

    def reset_mem(self) -> Any:
        """Forget the state, and close the sequence that MPO is collecting; returns the state."""
        for name in self.states:
            setattr(self, name, torch.zeros(0, device=self.width.device))
        if self.record is not None:
            self.record.close()
        state = tuple(getattr(self, name) for name in self.states)
        return state if len(state) > 1 else state[0]

    def _in_own_precision(self, current: Tensor) -> Tensor:
        """Keep the membrane in the precision of its parameters: bfloat16 would flip spikes."""
        return current.to(torch.promote_types(current.dtype, self.beta.dtype))

    def _leaks(self) -> str:
        return f"beta={short(self.beta)}"

    def _is_recording(self) -> bool:
        return self.record is not None and self.training and torch.is_grad_enabled()

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: parameters and settings, without state that holds a graph."""
        state = self.__dict__.copy()
        buffers = dict(state["_buffers"])
        buffers |= {name: torch.zeros(0, device=self.width.device) for name in self.states}
        state["_buffers"] = buffers
        state.pop("reset", None)
        if self.record is not None:
            state["record"] = self.record.fresh()
        return state

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Load widths per channel into a layer that has one number yet."""
        found = state_dict.get(prefix + "width")
        if found is not None and found.dim() == 1 and self.width.dim() == 0:
            self.set_widths(self.width.expand(found.shape).clone())
        super()._load_from_state_dict(state_dict, prefix, *args)

    def set_widths(self, width: Tensor) -> None:
        """Put another number of widths in the place of those that are there."""
        if isinstance(self.width, nn.Parameter):
            self.width = nn.Parameter(width.detach())
        else:
            self.width = width

    def extra_repr(self) -> str:
        """Settings in one line, for `print(network)`."""
        shape = self.surrogate_shape if self.own_spike_grad is None else "spike_grad"
        return (
            f"{self._leaks()}, threshold={short(self.threshold)},"
            f" reset={self.reset_kind}/{self.reset_timing}, input_gain={self.input_gain},"
            f" {shape}, width={float(self.width.detach().mean()):.3g} ({self.width_form})"
        )


class MPOLeaky(MPONeuron, snntorch.Leaky):  # type: ignore[misc]
    """A leaky integrate-and-fire layer; beta = 1 with unit gain is integrate-and-fire.

    Called on one timestep it behaves as `snntorch.Leaky` does: `spk, mem = lif(current, mem)`, or
    `spk = lif(current)` with `init_hidden=True`. `scan` runs all timesteps at once.

    Args:
        beta: leak per step, dimensionless, in [0, 1]; scalar or one per channel, (C,).
        threshold: firing threshold in volt, > 0; scalar or one per channel, (C,).
        reset: `zero`, `subtract` or `none`.
        reset_timing: `step` (in the step of the spike) or `next` (one step later).
        input_gain: `decay` multiplies the input by 1 - beta, `unit` leaves it as it is.
        learn_beta: make beta a parameter; used clamped to [0, 1], as in snnTorch.
        learn_threshold: make threshold a parameter; used with a floor of 1e-3 volt.
        init_hidden: keep the state inside, return spikes only.
        output: with `init_hidden`, return the membrane too.
        surrogate: shape of the surrogate (`mpo_snn.surrogate`).
        width: width of the surrogate in volt, > 0; scalar or one per channel, (C,).
        width_form: how the slope follows from the width (`mpo_snn.surrogate`).
        slope: slope of the surrogate in 1/volt, > 0; where given, it stands in place of the width.
        spike_grad: one of `snntorch.surrogate` in place of a shape. It is fixed: MPO does not
            adapt its width, and its coverage is not known (NaN).
        backend: LIF kernel of `scan`; None takes the fastest.

    Raises:
        RecipeError: if a value is out of range.

    Equal to snnTorch spike for spike for `zero` and `none`, and for `subtract`/`next`. For
    `subtract`/`step` snnTorch (`reset_delay=False`) guards against a double reset, which gives
    part of the reset back where the membrane exceeds twice the threshold; this class follows the
    equation, so the two differ there.
    """

    def __init__(
        self,
        beta: float | Tensor,
        threshold: float | Tensor = 1.0,
        *,
        reset: Reset = "zero",
        reset_timing: ResetTiming = "step",
        input_gain: InputGain = "decay",
        learn_beta: bool = False,
        learn_threshold: bool = False,
        init_hidden: bool = False,
        output: bool = False,
        surrogate: Shape = "sigmoid",
        width: float | Tensor = 0.5,
        width_form: WidthForm = "matched",
        slope: float | None = None,
        spike_grad: SpikeGrad | None = None,
        backend: str | None = None,
    ) -> None:
        """Check the values and hand them to `snntorch.Leaky`."""
        check_choices("MPOLeaky", reset, reset_timing, input_gain, surrogate, width_form)
        if slope is not None:
            width = width_of_slope(torch.tensor(float(slope)), width_form, surrogate)
        check_values("MPOLeaky", {"beta": beta}, threshold, width, input_gain)
        super().__init__(
            beta=own_copy(beta),
            threshold=own_copy(threshold),
            init_hidden=init_hidden,
            output=output,
            learn_beta=learn_beta,
            learn_threshold=learn_threshold,
            reset_mechanism=reset,
            reset_delay=reset_timing == "next",
            # Not used here; snnTorch's default is a closure, which cannot be pickled.
            spike_grad=snntorch.SpikingNeuron._surrogate_bypass,
        )
        self._set_up(reset_timing, input_gain, surrogate, width, width_form, spike_grad, backend)

    def forward(self, input_: Tensor, mem: Tensor | None = None) -> Any:
        """One timestep, called as snnTorch's Leaky is.

        Args:
            input_: current, (batch, *features), in volt.
            mem: state from the step before; None takes the one kept inside.

        Returns:
            spikes with `init_hidden=True`, otherwise (or with `output=True`) spikes and state.

        Raises:
            MpoError: if `mem` is given although the state is kept inside.
        """
        self._refuse_state(mem)
        input_ = self._in_own_precision(input_)
        state = self._state_like(self.mem if mem is None else mem, input_)
        spk = self._step(input_, state)
        return spk if self.init_hidden and not self.output else (spk, self.mem)


def neurons_of(network: nn.Module) -> dict[str, MPONeuron]:
    """The MPO neurons of a network by their module name, in order of registration."""
    return {name: m for name, m in network.named_modules() if isinstance(m, MPONeuron)}


def reset_hidden(network: nn.Module) -> None:
    """Forget the state of every MPO neuron; takes the place of `snntorch.utils.reset`."""
    for neuron in neurons_of(network).values():
        neuron.reset_mem()


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


def own_copy(value: float | Tensor) -> Tensor:
    """A given parameter as a tensor that nobody else holds."""
    if isinstance(value, Tensor):
        return value.detach().clone().to(torch.get_default_dtype())
    return torch.tensor(float(value))


def _forget_instance(neuron: nn.Module) -> None:
    """Take the neuron out of snnTorch's class-wide list, which would keep it alive for ever."""
    instances = snntorch.SpikingNeuron.instances
    instances[:] = [other for other in instances if other is not neuron]


def short(value: Tensor) -> str:
    """A parameter in a few characters, for messages."""
    value = value.detach()
    if value.numel() == 1:
        return f"{float(value):g}"
    return f"{float(value.min()):g}..{float(value.max()):g} {tuple(value.shape)}"
