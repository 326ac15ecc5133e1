"""`MPOSynaptic`: a leaky synapse in front of a leaky membrane (NIR's CubaLIF).

The equations are in `mpo_snn.synapse` and `mpo_snn.lif`. This module only holds parameters and
state.
"""

from __future__ import annotations

from typing import Any, ClassVar

import snntorch
import torch
from torch import Tensor

from mpo_snn.kernels.scans import synapse_scan
from mpo_snn.lif import InputGain, Reset, ResetTiming
from mpo_snn.neuron_values import (
    check_choices,
    check_firing,
    check_values,
    for_features,
    own_copy,
    short,
    start_value,
    within,
)
from mpo_snn.neurons import MPONeuron
from mpo_snn.settings import NeuronSettings
from mpo_snn.surrogate import Shape, SpikeGrad, WidthForm, width_of_slope
from mpo_snn.synapse import synapse_step


class MPOSynaptic(MPONeuron, snntorch.Synaptic):  # type: ignore[misc]
    """A layer of neurons whose input first passes a leaky synapse; alpha = 0 is `MPOLeaky`.

    Called on one timestep it behaves as `snntorch.Synaptic` does: `spk, syn, mem = lif(current,
    syn, mem)`, or `spk = lif(current)` with `init_hidden=True`. `scan` runs all timesteps at once.
    A spike resets the membrane alone, never the synaptic current.

    Args:
        alpha: leak of the synapse per step, dimensionless, in [0, 1]; scalar or one per channel.
        beta: leak of the membrane per step, likewise.
        threshold: firing threshold in volt, > 0; scalar or one per channel, (C,).
        reset: `zero`, `subtract` or `none`.
        reset_timing: `step` (in the step of the spike) or `next` (one step later).
        input_gain: `decay` multiplies the input by 1 - alpha and the current by 1 - beta, `unit`
            leaves both as they are.
        learn_alpha: make alpha a parameter; used clamped to [0, 1], as in snnTorch.
        learn_beta: likewise beta.
        learn_threshold: make threshold a parameter; used with a floor of 1e-3 volt.
        init_hidden: keep the state inside, return spikes only.
        output: with `init_hidden`, return current and membrane too.
        surrogate: shape of the surrogate (`mpo_snn.surrogate`).
        width: width of the surrogate in volt, > 0; scalar or one per channel, (C,).
        width_form: how the slope follows from the width (`mpo_snn.surrogate`).
        slope: slope of the surrogate in 1/volt, > 0; where given, it stands in place of the width.
        spike_grad: one of `snntorch.surrogate` in place of a shape, as in `MPOLeaky`.
        backend: kernels of `scan`; None takes the fastest.
        most_spikes: of one neuron in one step (`mpo_snn.multi_spike`), >= 1; more than 1 needs a
            reset in the step.
        lower: lowest membrane in volt, <= 0, likewise; None for none.

    Raises:
        RecipeError: if a value is out of range.

    Equal to snnTorch spike for spike for `none`, for `subtract`/`next`, and for `zero`/`step`
    (`reset_delay=False`). Where snnTorch leaves the equation:

    - `zero`/`next`: it sets the membrane to 0 in the step after a spike, the current of that step
      included, which is lost; here that step starts from 0 and takes its current;
    - `subtract`/`step`: its guard against a double reset gives part of the reset back where the
      membrane exceeds twice the threshold, as in `MPOLeaky`.
    """

    states: ClassVar[tuple[str, ...]] = ("syn", "mem")

    alpha: Tensor
    syn: Tensor

    def __init__(
        self,
        alpha: float | Tensor,
        beta: float | Tensor,
        threshold: float | Tensor = 1.0,
        *,
        reset: Reset = "zero",
        reset_timing: ResetTiming = "step",
        input_gain: InputGain = "decay",
        learn_alpha: bool = False,
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
        most_spikes: int = 1,
        lower: float | None = None,
    ) -> None:
        """Check the values and hand them to `snntorch.Synaptic`."""
        check_choices("MPOSynaptic", reset, reset_timing, input_gain, surrogate, width_form)
        check_firing("MPOSynaptic", reset, reset_timing, most_spikes, lower)
        if slope is not None:
            width = width_of_slope(torch.tensor(float(slope)), width_form, surrogate)
        check_values("MPOSynaptic", {"alpha": alpha, "beta": beta}, threshold, width, input_gain)
        super().__init__(
            alpha=own_copy(alpha),
            beta=own_copy(beta),
            threshold=own_copy(threshold),
            init_hidden=init_hidden,
            output=output,
            learn_alpha=learn_alpha,
            learn_beta=learn_beta,
            learn_threshold=learn_threshold,
            reset_mechanism=reset,
            reset_delay=reset_timing == "next",
            # Not used here; snnTorch's default is a closure, which cannot be pickled.
            spike_grad=snntorch.SpikingNeuron._surrogate_bypass,
        )
        self._set_up(
            reset_timing,
            input_gain,
            surrogate,
            width,
            width_form,
            spike_grad,
            backend,
            most_spikes,
            lower,
        )

    @classmethod
    def _arguments(cls, settings: NeuronSettings, channels: int | None) -> dict[str, Any]:
        return {
            **super()._arguments(settings, channels),
            "alpha": start_value(settings.alpha, settings.learn_alpha, settings, channels),
            "learn_alpha": settings.learn_alpha,
        }

    def synapse_leak(self) -> Tensor:
        """Alpha as it is used: what is tested and exported."""
        return within(self.alpha, 0.0, 1.0)

    def forward(self, input_: Tensor, syn: Tensor | None = None, mem: Tensor | None = None) -> Any:
        """One timestep, called as snnTorch's Synaptic is.

        Args:
            input_: what arrives at the synapse, (batch, *features), in volt.
            syn: current from the step before; None takes the one kept inside.
            mem: membrane from the step before; None takes the one kept inside.

        Returns:
            spikes with `init_hidden=True`, otherwise (or with `output=True`) spikes, current and
            membrane.

        Raises:
            MpoError: if a state is given although the state is kept inside.
        """
        self._refuse_state(syn, mem)
        input_ = self._in_own_precision(input_)
        before = self._state_like(self.syn if syn is None else syn, input_)
        membrane = self._state_like(self.mem if mem is None else mem, input_)
        self.syn = synapse_step(input_, before, self._alpha_for(input_.shape), self.input_gain)
        spk = self._step(self.syn, membrane)
        return spk if self.init_hidden and not self.output else (spk, self.syn, self.mem)

    def _membrane_current(self, x: Tensor) -> Tensor:
        x = self._in_own_precision(x)
        return synapse_scan(x, self._alpha_for(x.shape[1:]), self.input_gain, self.backend)

    def _alpha_for(self, shape: torch.Size) -> Tensor:
        return for_features(f"alpha of {type(self).__name__}", self.synapse_leak(), shape)

    def _leaks(self) -> str:
        return f"alpha={short(self.alpha)}, {super()._leaks()}"
