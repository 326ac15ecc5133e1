"""`MPOLeaky`: snnTorch's Leaky with a named reset, a surrogate that MPO steers, and a fast scan.

The equations are in `mpo_snn.lif`. This module only holds parameters and state.
"""

from __future__ import annotations

from typing import Any

import snntorch
import torch
from torch import Tensor

from mpo_snn.lif import InputGain, Reset, ResetTiming
from mpo_snn.neuron_values import check_choices, check_firing, check_values, own_copy
from mpo_snn.neurons import MPONeuron
from mpo_snn.surrogate import Shape, SpikeGrad, WidthForm, width_of_slope


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
        most_spikes: of one neuron in one step (`mpo_snn.multi_spike`), >= 1; more than 1 needs a
            reset in the step.
        lower: lowest membrane in volt, <= 0, likewise; None for none.

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
        most_spikes: int = 1,
        lower: float | None = None,
    ) -> None:
        """Check the values and hand them to `snntorch.Leaky`."""
        check_choices("MPOLeaky", reset, reset_timing, input_gain, surrogate, width_form)
        check_firing("MPOLeaky", reset, reset_timing, most_spikes, lower)
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
