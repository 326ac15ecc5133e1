r"""LSG: the width of the surrogate is learnt, through the leak.

Lian et al., "Learnable Surrogate Gradient for Direct Training Spiking Neural Networks", IJCAI 2023.
They show that the spread of the membrane is a function of the decay factor, make the decay
trainable, and let the width follow it. The forward pass is Heaviside, so no gradient reaches the
width by itself: it reaches the leak beta through the membrane, and the width is recomputed from it.

With inputs of variance :math:`\sigma^2` that are independent in time, and no spike,

.. math:: \mathrm{std}(v_T) = g\, \sigma \sqrt{\sum_{j=0}^{T-1} \beta^{2j}}, \qquad
    \text{width} = \text{width}_0 \, \mathrm{std}(v_T; \beta) / \mathrm{std}(v_T; \beta_0)

with g the input gain, which is 1 - beta or 1, and T that of the epoch. This formula is ours, from
the same premise; theirs, and their initial width, are not reproduced.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mpo_snn.neurons import MPONeuron
from mpo_snn.rivals.rival import Rival
from mpo_snn.rivals.settings import RivalSettings
from mpo_snn.unroll import Unrolled


def spread_of_membrane(beta: Tensor, timesteps: int, input_gain: str) -> Tensor:
    """std(v_T) over sigma of the inputs; finite for every beta in [0, 1].

    Args:
        beta: leak per step, any shape.
        timesteps: T, at least 1.
        input_gain: `decay` or `unit`.
    """
    powers = torch.stack([beta ** (2 * j) for j in range(timesteps)])
    spread = powers.sum(0).sqrt()
    return spread * (1.0 - beta) if input_gain == "decay" else spread


class LSG(Rival):
    """Lets the width of each layer follow its leak."""

    def __init__(self, unrolled: Unrolled, settings: RivalSettings) -> None:
        """Take the widths at the start as those of the leaks at the start, at any T."""
        super().__init__(unrolled, settings)
        self._start = {
            name: (neuron.width.detach().cpu().clone(), neuron.values()[0].detach().cpu().clone())
            for name, neuron in unrolled.neurons.items()
        }
        self._units: dict[int, dict[str, Tensor]] = {}

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the widths."""
        units = self._units_now()
        for name, neuron in self.unrolled.neurons.items():
            spread = self._spread(neuron, neuron.values()[0].detach())
            neuron.put("width", units[name].to(spread.device) * spread)

    def _units_now(self) -> dict[str, Tensor]:
        """Width over spread at the start, by layer, with the timesteps of now."""
        timesteps, neurons = self.unrolled.timesteps, self.unrolled.neurons
        if timesteps not in self._units:
            self._units[timesteps] = {
                name: width / self._spread(neurons[name], beta)
                for name, (width, beta) in self._start.items()
            }
        return self._units[timesteps]

    def _spread(self, neuron: MPONeuron, beta: Tensor) -> Tensor:
        # At beta = 1 the gain of `decay` is 0, and with it the width: keep it above that.
        return spread_of_membrane(beta.clamp(max=0.999), self.unrolled.timesteps, neuron.input_gain)
