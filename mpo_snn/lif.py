r"""The LIF equations, once: one step, and the readable scan that every faster kernel must equal.

.. math::
    v_t = \beta\, u_{t-1} + g\, i_t \;[-\; s_{t-1} \theta], \qquad s_t = \Theta(v_t - \theta)

with :math:`u` the membrane carried from the step before, :math:`u_{-1} = 0`, and the input gain
:math:`g = 1 - \beta` (``decay``: the paper's Eq. 2, NIR's r = 1) or 1 (``unit``: snnTorch's habit).
The reset is a kind and a timing:

=============  ==========================================  ==================================
kind           ``step``: in the step of the spike          ``next``: one step later
=============  ==========================================  ==================================
``zero``       u = v (1 - s); NIR's LIF                    the same spikes, later in the record
``subtract``   u = v - s theta                             the bracket above; the paper, snnTorch
``none``       u = v                                       u = v
=============  ==========================================  ==================================

:math:`v` is the membrane before any reset within the step. The spike in the reset term is detached
from the gradient, as snnTorch does; the threshold in it is not. beta = 1 is an IF neuron and needs
the unit gain. Neurons that fire several times in a step, or have a lowest membrane, follow
`mpo_snn.multi_spike` from v on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mpo_snn.multi_spike import fire, reset_after
from mpo_snn.surrogate import Spike, Surrogate

Reset = Literal["zero", "subtract", "none"]
ResetTiming = Literal["step", "next"]
InputGain = Literal["decay", "unit"]


@dataclass(frozen=True)
class LIFParameters:
    """What the equations need, broadcast against one step of input, (batch, *features).

    Attributes:
        beta: leak per step in [0, 1], dimensionless.
        threshold: firing threshold in volt, > 0.
        slope: slope of the surrogate, 1/volt; scalar or one per channel.
        scale: height times per-neuron gain of the surrogate, dimensionless.
        reset: kind of reset.
        reset_timing: whether it acts in the step of the spike or one later.
        input_gain: whether the input is multiplied by 1 - beta.
        surrogate: shape of the surrogate, or a function as snnTorch has them.
        most_spikes: of one neuron in one step, >= 1.
        lower: lowest membrane after a step in volt, <= 0; None if there is none.
    """

    beta: Tensor
    threshold: Tensor
    slope: Tensor
    scale: Tensor
    reset: Reset = "zero"
    reset_timing: ResetTiming = "step"
    input_gain: InputGain = "decay"
    surrogate: Surrogate = "sigmoid"
    most_spikes: int = 1
    lower: float | None = None

    @property
    def fires_once(self) -> bool:
        """Whether the neurons are those of this module: one spike a step and no lowest membrane."""
        return self.most_spikes == 1 and self.lower is None


def lif_step(current: Tensor, state: Tensor, p: LIFParameters) -> tuple[Tensor, Tensor, Tensor]:
    """Advance a layer by one step of the equation of this module.

    Args:
        current: input, (batch, *features), in volt.
        state: what the step before returned as state, same shape; zeros at the start. For
            ``next`` it is the membrane before its reset, which is derived from it here.
        p: parameters.

    Returns:
        spikes (0 and 1, or their number), the membrane before reset, and the state to carry, each
        of the shape of current.
    """
    if not p.fires_once:
        return _several_spikes_step(current, state, p)
    late = p.reset_timing == "next"
    fired = (state > p.threshold).to(state.dtype) if late else None
    if fired is not None and p.reset == "zero":
        state = (1.0 - fired) * state
    drive = current if p.input_gain == "unit" else (1.0 - p.beta) * current
    v = p.beta * state + drive
    if fired is not None and p.reset == "subtract":
        v = v - fired * p.threshold
    x = v - p.threshold
    spk: Tensor = Spike.apply(x, p.slope, p.scale, p.surrogate)  # type: ignore[no-untyped-call]
    return spk, v, carried(spk, v, p)


def carried(spk: Tensor, v: Tensor, p: LIFParameters) -> Tensor:
    """The state that a step carries on, which is the membrane that a layer returns.

    Args:
        spk: spikes, (*any, batch, *features); their own gradient does not pass.
        v: membrane before reset within the step, same shape, in volt.
        p: parameters.

    Returns:
        v less what is reset within the step; v itself where the reset comes one step later.
    """
    if not p.fires_once:
        assert p.reset != "none", "neurons of several spikes reset"
        return reset_after(v, spk.detach(), p.threshold, p.reset, p.lower)
    if p.reset_timing == "next" or p.reset == "none":
        return v
    if p.reset == "zero":
        return (1.0 - spk.detach()) * v
    return v - spk.detach() * p.threshold


def _several_spikes_step(
    current: Tensor, state: Tensor, p: LIFParameters
) -> tuple[Tensor, Tensor, Tensor]:
    drive = current if p.input_gain == "unit" else (1.0 - p.beta) * current
    v = p.beta * state + drive
    n = fire(v, p.threshold, p.most_spikes, p.slope, p.scale, p.surrogate)
    return n, v, carried(n, v, p)


def lif_scan_reference(current: Tensor, p: LIFParameters) -> tuple[Tensor, Tensor]:
    """Run `lif_step` over all timesteps from the membrane at rest.

    Args:
        current: input, (time, batch, *features), in volt.
        p: parameters.

    Returns:
        spikes and membrane before reset, both of the shape of current.
    """
    state = torch.zeros_like(current[0])
    spikes, membranes = [], []
    for step in current:
        spk, v, state = lif_step(step, state, p)
        spikes.append(spk)
        membranes.append(v)
    return torch.stack(spikes), torch.stack(membranes)
