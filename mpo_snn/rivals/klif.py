r"""KLIF: a learnable factor in front of a rectified membrane tunes the slope of the surrogate.

Jiang and Zhang, "KLIF: An optimized spiking neuron unit for tuning surrogate gradient function",
Neural Computation 36(12), 2024. Between charging and firing,

.. math::
    F_t = \mathrm{ReLU}\big(k\, (\beta u_{t-1} + g\, i_t)\big), \qquad
    s_t = \Theta(F_t - \theta), \qquad
    u_t = \begin{cases} F_t (1 - s_t) & \text{zero} \\ F_t - s_t \theta & \text{subtract} \\
    F_t & \text{none} \end{cases}

with one k a layer, 1 at the start, trained with the weights: backward,
:math:`\partial s / \partial v = k\, s(F - \theta)` for v > 0, so k is a slope too. F is what is
recorded as the membrane. The spike in the reset is detached, as in `mpo_snn.lif`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mpo_snn.errors import RecipeError
from mpo_snn.leaky import MPOLeaky
from mpo_snn.lif import LIFParameters
from mpo_snn.membrane import Sample, observe
from mpo_snn.membrane_record import MembraneRecord
from mpo_snn.surrogate import Spike


def klif_step(
    current: Tensor, state: Tensor, k: Tensor, p: LIFParameters
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of the equation of this module.

    Args:
        current: input, (batch, *features), in volt.
        state: u of the step before, same shape; zeros at the start.
        k: factor on the membrane, dimensionless, 0-d.
        p: parameters; the reset is in the step of the spike.

    Returns:
        spikes of 0 and 1, F, and the state to carry.
    """
    drive = current if p.input_gain == "unit" else (1.0 - p.beta) * current
    f = torch.relu(k * (p.beta * state + drive))
    x = f - p.threshold
    spk: Tensor = Spike.apply(x, p.slope, p.scale, p.surrogate)  # type: ignore[no-untyped-call]
    if p.reset == "zero":
        return spk, f, (1.0 - spk.detach()) * f
    if p.reset == "subtract":
        return spk, f, f - spk.detach() * p.threshold
    return spk, f, f


class KLIF(MPOLeaky):
    """An `MPOLeaky` with the step of this module; one step after another, there is no kernel.

    Args:
        beta: leak per step.
        threshold: firing threshold in volt.
        k: factor on the membrane at the start, > 0.
        arguments: as of `MPOLeaky`; reset_timing must be `step`.

    Raises:
        RecipeError: if an argument is out of range.
    """

    def __init__(
        self,
        beta: float | Tensor,
        threshold: float | Tensor = 1.0,
        k: float = 1.0,
        **arguments: Any,
    ) -> None:
        """Add k to the parameters."""
        super().__init__(beta, threshold, **arguments)
        if self.reset_timing != "step":
            raise RecipeError(
                f"KLIF: reset_timing is '{self.reset_timing}', allowed is step: it resets in the"
                " step of the spike."
            )
        if self.most_spikes != 1 or self.lower is not None:
            raise RecipeError(
                "KLIF: most_spikes and lower are not for this neuron, whose equation has neither:"
                " leave them out."
            )
        if not k > 0.0:
            raise RecipeError(f"KLIF: k is {k:g}, allowed is above 0.")
        self.k = nn.Parameter(torch.tensor(float(k)))

    def _step(self, current: Tensor, mem: Tensor) -> Tensor:
        p = self.parameters_for(current.shape)
        spk, v, self.mem = klif_step(current, mem, self.k, p)
        if self._is_recording():
            self.record.add_step(v, spk, p)  # type: ignore[union-attr]
        return spk

    def _run(
        self, current: Tensor, p: LIFParameters, want_membrane: bool = True
    ) -> tuple[Tensor, Tensor]:
        current = self._in_own_precision(current)
        state = torch.zeros_like(current[0])
        spikes, membranes = [], []
        for step in current:
            spk, v, state = klif_step(step, state, self.k, p)
            spikes.append(spk)
            membranes.append(v)
        return torch.stack(spikes), torch.stack(membranes)

    def _run_sampled(
        self, current: Tensor, p: LIFParameters, record: MembraneRecord, want_membrane: bool = True
    ) -> tuple[Tensor, Tensor, Sample]:
        spk, v = self._run(current, p)
        return spk, v, record.sample(*observe(v, spk, p, record.statistic, record.power))

    def extra_repr(self) -> str:
        """Settings in one line, for `print(network)`."""
        return f"k={float(self.k.detach()):.3g}, {super().extra_repr()}"
