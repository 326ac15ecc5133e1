r"""Neurons of chips: several spikes in a step, and a lowest membrane; the equation, once.

.. math::
    n &= \begin{cases} \min(N, \lfloor v / \theta \rfloor) \text{ where } v > 0, \text{ else } 0
        & N > 1 \\ \Theta(v - \theta) \text{, strictly above, as in NIR} & N = 1 \end{cases} \\
    u &= v - n\theta \;(\text{subtract}) \quad \text{or} \quad 0 \text{ where } n > 0
        \;(\text{zero}); \qquad u \leftarrow \max(u, \text{lower})

with :math:`v` the membrane before the reset (`mpo_snn.lif`), N the most spikes of a neuron in a
step and u what is carried. Several spikes fire at their threshold too (Xylo, Speck).

Backward, n is a stair whose steps are each a spike: the surrogate sits at the multiple
:math:`k\theta` that is nearest to v, :math:`k = \text{clamp}(\text{round}(v / \theta), 1, N)`, and
the n in the reset is detached. For N = 1 that is the surrogate of `mpo_snn.lif`. A membrane below
the lowest passes no gradient on to the next step.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mpo_snn.surrogate import Spike, Surrogate


def count_spikes(v: Tensor, threshold: Tensor | float, most_spikes: int) -> Tensor:
    """Spikes of each neuron in one step, whole numbers of the shape and type of v.

    Where several can fire, NaN gives NaN.

    Args:
        v: membrane before the reset, any shape, in volt.
        threshold: > 0, in volt, broadcast against v.
        most_spikes: N, >= 1.
    """
    if most_spikes == 1:
        return (v > threshold).to(v.dtype)
    whole = (v / threshold).floor_().clamp_(0.0, float(most_spikes))
    return whole.masked_fill_(v == 0.0, 0.0)  # 0 / 0: a threshold that a fault has set to 0


def reset_after(
    v: Tensor,
    n: Tensor,
    threshold: Tensor | float,
    reset: Literal["zero", "subtract"],
    lower: float | None,
) -> Tensor:
    """The membrane that is carried to the next step, of the shape of v.

    Args:
        v: membrane before the reset.
        n: spikes, without a gradient.
        threshold: as in `count_spikes`.
        reset: what every spike does.
        lower: lowest membrane in volt, <= 0; None if there is none.
    """
    u = v - n * threshold if reset == "subtract" else v.masked_fill(n > 0, 0.0)
    return u if lower is None else u.clamp(min=lower)


def nearest_multiple(v: Tensor, threshold: Tensor, most_spikes: int) -> Tensor | float:
    """The whole number k of thresholds at which v is closest to another spike; no gradient."""
    if most_spikes == 1:
        return 1.0
    return (v.detach() / threshold.detach()).round_().clamp_(1.0, float(most_spikes))


def fire(
    v: Tensor,
    threshold: Tensor,
    most_spikes: int,
    slope: Tensor,
    scale: Tensor,
    surrogate: Surrogate,
) -> Tensor:
    """`count_spikes` with the surrogate of this module as its gradient.

    Args:
        v: as in `count_spikes`.
        threshold: likewise.
        most_spikes: likewise.
        slope: of the surrogate, 1/volt.
        scale: height times gain of the surrogate, dimensionless.
        surrogate: its shape, or a function as snnTorch has them.
    """
    x = v - nearest_multiple(v, threshold, most_spikes) * threshold
    spk: Tensor = Spike.apply(x, slope, scale, surrogate)  # type: ignore[no-untyped-call]
    if most_spikes == 1:
        return spk
    with torch.no_grad():
        n = count_spikes(v, threshold, most_spikes)
    return n + (spk - spk.detach())  # the bracket is 0 and has the gradient
