"""`MPONeuron`: what every MPO neuron shares, and how to find the neurons of a network.

The neurons themselves are in `mpo_snn.leaky` and `mpo_snn.synaptic`, the equations in
`mpo_snn.lif`.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import snntorch
import torch
from torch import Tensor, nn

from mpo_snn.errors import MpoError, ShapeError
from mpo_snn.kernels.scans import lif_scan, lif_scan_sampled, lif_spikes
from mpo_snn.lif import InputGain, LIFParameters, Reset, ResetTiming, carried, lif_step
from mpo_snn.membrane import Sample
from mpo_snn.membrane_record import MembraneRecord
from mpo_snn.neuron_values import (
    THRESHOLD_FLOOR,
    for_features,
    own_copy,
    short,
    start_value,
    within,
)
from mpo_snn.settings import HeightNorm, NeuronSettings
from mpo_snn.surrogate import (
    Shape,
    SpikeGrad,
    Surrogate,
    WidthForm,
    slope_of_width,
    surrogate_derivative,
)

WIDTH_FLOOR = 1e-3
"""A width is used as max(width, this), in volt: a narrower surrogate passes no gradient."""


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
        most_spikes: of one neuron in one step (`mpo_snn.multi_spike`).
        lower: lowest membrane in volt; None for none.
        rms: root mean square of the surrogate over the membranes, for `height_norm`.
        membrane_unit: what one volt of the membrane is in the NIR file that the layer came from
            (`mpo_snn.importer.neurons`); None is one volt. Nothing that runs here depends on it.
        synapse_unit: likewise for the current of its synapse.
    """

    states: ClassVar[tuple[str, ...]] = ("mem",)

    beta: Tensor
    threshold: Tensor
    width: Tensor
    height: Tensor
    gain: Tensor
    rms: Tensor
    membrane_unit: Tensor | None
    synapse_unit: Tensor | None
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
        most_spikes: int = 1,
        lower: float | None = None,
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
        self.most_spikes, self.lower = most_spikes, lower
        self.record: MembraneRecord | None = None
        self.register_buffer("width", own_copy(width))
        self.register_buffer("height", torch.tensor(1.0))
        self.register_buffer("gain", torch.tensor(1.0), persistent=False)
        self.register_buffer("rms", torch.tensor(1.0), persistent=False)
        self.register_buffer("membrane_unit", None)
        self.register_buffer("synapse_unit", None)

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
            "most_spikes": settings.most_spikes,
            "lower": settings.lower,
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

    def parameters_for(self, shape: torch.Size) -> LIFParameters:
        """The parameters, to broadcast against a step of input of this shape, (batch, *features).

        Raises:
            ShapeError: if a per-channel parameter, or the gain that MPO found for each neuron,
                does not match the input.
        """
        if self.gain.dim() and self.gain.shape != shape[1:]:
            raise ShapeError(
                f"{type(self).__name__} was trained on features of shape"
                f" {tuple(self.gain.shape)} and now gets {tuple(shape[1:])}: its gain per"
                " neuron does not fit; keep the shape, or use MPOSettings(neuron_gain=False)."
            )
        beta, threshold = self.values()
        kind = type(self).__name__
        slope = for_features(f"width of {kind}", self.slope, shape)
        return LIFParameters(
            beta=for_features(f"beta of {kind}", beta, shape),
            threshold=for_features(f"threshold of {kind}", threshold, shape),
            slope=slope,
            scale=self.surrogate_scale(slope),
            reset=self.reset_kind,
            reset_timing=self.reset_timing,
            input_gain=self.input_gain,
            surrogate=self.surrogate,
            most_spikes=self.most_spikes,
            lower=self.lower,
        )

    def in_units_of_nir(self, v: Tensor) -> Tensor:
        """Membranes, (time, batch, *features), in the volts of the NIR file they came from."""
        if self.membrane_unit is None:
            return v
        return v * for_features("membrane_unit", self.membrane_unit, v.shape[1:])

    def scan(self, current: Tensor) -> tuple[Tensor, Tensor]:
        """All timesteps at once, from the membrane at rest; the kept state is not touched.

        Args:
            current: (time, batch, *features) in volt; a time stride of 0 marks a constant input.

        Returns:
            spikes and membrane before reset, of the shape of current.

        Raises:
            ShapeError: if there is no time step or no batch axis.
        """
        spk, v = self._scan(current, want_membrane=True)
        assert v is not None, "it was asked for"
        return spk, v

    def scan_spikes(self, current: Tensor) -> Tensor:
        """The spikes of `scan` alone, which saves memory: the membrane need not be kept."""
        return self._scan(current, want_membrane=False)[0]

    def scan_membrane(self, current: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`scan`, and the membrane as single steps return it, in volt (`mpo_snn.lif.carried`).

        Args:
            current: as in `scan`.

        Returns:
            spikes, membrane before reset, and what is left of it after the reset within the step,
            each of the shape of current.
        """
        spk, v = self.scan(current)
        return spk, v, carried(spk, v, self.parameters_for(current.shape[1:]))

    def _scan(self, current: Tensor, want_membrane: bool) -> tuple[Tensor, Tensor | None]:
        if current.dim() < 2 or current.shape[0] == 0:
            raise ShapeError(
                f"input of {type(self).__name__}.scan has shape {tuple(current.shape)}, expected"
                " (time, batch, ...) with at least one time step."
            )
        p = self.parameters_for(current.shape[1:])
        current = self._membrane_current(current)
        if self.record is None or not self._is_recording():
            return self._run(current, p, want_membrane)
        spk, v, sample = self._run_sampled(current, p, self.record, want_membrane)
        self.record.add_sample(sample)
        return spk, v

    def _run(
        self, current: Tensor, p: LIFParameters, want_membrane: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Spikes, and membrane if wanted, of all timesteps, from the membrane at rest."""
        if want_membrane:
            return lif_scan(current, p, self.backend)
        return lif_spikes(current, p, self.backend), None

    def _run_sampled(
        self, current: Tensor, p: LIFParameters, record: MembraneRecord, want_membrane: bool
    ) -> tuple[Tensor, Tensor | None, Sample]:
        """The same, with the sample that the record takes of it."""
        return lif_scan_sampled(current, p, record, want_membrane, self.backend)

    def _membrane_current(self, x: Tensor) -> Tensor:
        """What drives the membrane at every timestep, from the input of `scan`."""
        return x

    def _step(self, current: Tensor, mem: Tensor) -> Tensor:
        """Spikes of one timestep; the membrane to carry is kept in `mem`."""
        p = self.parameters_for(current.shape)
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

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        *args: Any,
    ) -> None:
        """Load widths per channel into a layer that has one number yet; take snnTorch's neurons.

        A checkpoint of snnTorch's neuron has a threshold, but neither width nor height: the layer
        keeps the fresh ones.
        """
        found = state_dict.get(prefix + "width")
        if found is not None and found.dim() == 1 and self.width.dim() == 0:
            self.put("width", self.width.expand(found.shape))
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, *args
        )
        own = {prefix + "width", prefix + "height"}
        if prefix + "threshold" in state_dict and not own & state_dict.keys():
            missing_keys[:] = [key for key in missing_keys if key not in own]

    @torch.no_grad()
    def put(self, name: str, values: Tensor) -> None:
        """Give a buffer or parameter other values; where as many fit, it stays the same tensor.

        A step that was recorded as a CUDA graph reads that tensor, whatever the name stands for.
        """
        there = getattr(self, name)
        if there.shape == values.shape and not there.is_inference():
            there.copy_(values)
            return
        with torch.inference_mode(False):
            own = values.detach().clone(memory_format=torch.contiguous_format)
        setattr(self, name, nn.Parameter(own) if isinstance(there, nn.Parameter) else own)

    def extra_repr(self) -> str:
        """Settings in one line, for `print(network)`."""
        shape = self.surrogate_shape if self.own_spike_grad is None else "spike_grad"
        several = "" if self.most_spikes == 1 else f" most_spikes={self.most_spikes},"
        floor = "" if self.lower is None else f" lower={self.lower:g},"
        return (
            f"{self._leaks()}, threshold={short(self.threshold)},"
            f" reset={self.reset_kind}/{self.reset_timing}, input_gain={self.input_gain},"
            f"{several}{floor} {shape},"
            f" width={float(self.width.detach().mean()):.3g} ({self.width_form})"
        )


def neurons_of(network: nn.Module) -> dict[str, MPONeuron]:
    """The MPO neurons of a network by their module name, in order of registration."""
    return {name: m for name, m in network.named_modules() if isinstance(m, MPONeuron)}


def reset_hidden(network: nn.Module) -> None:
    """Forget the state of every MPO neuron; takes the place of `snntorch.utils.reset`."""
    for neuron in neurons_of(network).values():
        neuron.reset_mem()


def _forget_instance(neuron: nn.Module) -> None:
    """Take the neuron out of snnTorch's class-wide list, which would keep it alive for ever."""
    instances = snntorch.SpikingNeuron.instances
    instances[:] = [other for other in instances if other is not neuron]
