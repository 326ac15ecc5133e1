r"""Dspike: a tanh-shaped surrogate whose temperature is chosen by the true change of the loss.

Li et al., "Differentiable Spike: Rethinking Gradient-Descent for Training Spiking Neural Networks",
NeurIPS 2021. The surrogate is the derivative of a tanh that is 0 and 1 at the ends of its reach,

.. math:: s(x; b) = \frac{b\, \mathrm{sech}^2(bx)}{2 \tanh(b / 2)}, \quad |x| \le \tfrac12

(shape `tanh`; their threshold is 0.5 volt, so that it reaches from 0 to 1). Before every epoch the
gradient of the task loss by weights of the first layer is estimated by finite differences,

.. math:: \nabla_i = \frac{L(w + \epsilon e_i) - L(w - \epsilon e_i)}{2 \epsilon},

and of the temperatures b, b + db and b - db the one is kept whose surrogate gradient has the
largest cosine with it.

Simplified: the estimate takes a random share of the first layer's weights on one batch; epsilon is
a share of their root mean square; one temperature serves all layers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mpo_snn.errors import RecipeError
from mpo_snn.processes import processes, summed
from mpo_snn.rivals.rival import Rival, TaskLoss
from mpo_snn.surrogate import width_of_slope
from mpo_snn.unroll import Unrolled


def best_temperature(
    candidates: Sequence[float], gradients: Sequence[Tensor], reference: Tensor
) -> float:
    """The candidate whose gradient points most as the reference does; the first of equals.

    Args:
        candidates: temperatures; the first is kept where the reference is 0.
        gradients: by the surrogate of each, (weights,).
        reference: estimated gradient, (weights,).
    """
    cosines = [float(functional.cosine_similarity(g, reference, 0)) for g in gradients]
    return candidates[max(range(len(candidates)), key=cosines.__getitem__)]


class Dspike(Rival):
    """Chooses the temperature before every epoch."""

    def before_epoch(self, task_loss: TaskLoss, seed: int) -> None:
        """Estimate, compare, and set the temperature of every layer."""
        twin = copy.deepcopy(self.unrolled)
        for neuron in twin.neurons.values():
            neuron.record = None
        weight = next((p for p in twin.parameters() if p.dim() > 1), None)
        if weight is None:
            raise RecipeError("method dspike needs a layer with a weight matrix or kernels.")
        chosen = torch.randperm(weight.numel(), generator=torch.Generator().manual_seed(seed))
        chosen = chosen[: self.settings.dspike_weights].to(weight.device)

        def loss() -> Tensor:
            torch.manual_seed(seed)  # the same dropout every time
            return task_loss(twin)

        reference = self.finite_differences(weight, chosen, loss)
        now, change = temperature_of(self.unrolled), self.settings.dspike_change
        candidates = [now, now + change, *([now - change] if now > change else [])]
        gradients = []
        for candidate in candidates:
            set_temperature(twin, candidate)
            (gradient,) = torch.autograd.grad(loss(), weight)
            gradients.append(summed(gradient.flatten()[chosen]) / processes())
        set_temperature(self.unrolled, best_temperature(candidates, gradients, reference))

    @torch.no_grad()
    def finite_differences(
        self, weight: Tensor, chosen: Tensor, loss: Callable[[], Tensor]
    ) -> Tensor:
        """Estimated gradient of the loss, (weights,).

        Args:
            weight: a parameter that the loss depends on; afterwards it is what it was.
            chosen: flat indices into it, however it lies in memory, (weights,).
            loss: the loss as it is now, 0-d.
        """
        step = self.settings.dspike_step * float(weight.square().mean().sqrt())
        estimates = []
        for place in zip(*torch.unravel_index(chosen, weight.shape), strict=True):
            before = weight[place].clone()
            weight[place] = before + step
            above = loss()
            weight[place] = before - step
            estimates.append((above - loss()) / (2.0 * step))
            weight[place] = before
        return torch.stack(estimates)


def temperature_of(unrolled: Unrolled) -> float:
    """The temperature b, which all layers share, in 1/volt."""
    return float(next(iter(unrolled.neurons.values())).slope.mean())


@torch.no_grad()
def set_temperature(unrolled: Unrolled, temperature: float) -> None:
    """Give all layers the temperature b, in 1/volt."""
    for neuron in unrolled.neurons.values():
        slope = torch.full_like(neuron.width, temperature)
        neuron.width.copy_(width_of_slope(slope, neuron.width_form, neuron.surrogate_shape))
