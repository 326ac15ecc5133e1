r"""The task loss: what the network is trained to do, whatever the method adds.

- ``ce``: cross entropy of the read-out, one score per class.
- ``tet``: temporal efficient training (Deng et al., "Temporal Efficient Training of Spiking Neural
  Network via Gradient Re-weighting", ICLR 2022): the mean over timesteps of the cross entropy of
  every step, so that each step alone learns to classify, with an optional pull of every output
  towards a constant,

.. math::
    L = (1 - \lambda) \frac1T \sum_t \mathrm{CE}(o_t, y)
        + \lambda \frac1T \sum_t \mathrm{MSE}(o_t, \theta)

with :math:`\theta` the firing threshold, as they chose it.

In both, y may be smoothed: a share of it is spread over all classes (C. Szegedy et al., "Rethinking
the Inception architecture for computer vision", CVPR 2016).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def tet_loss(
    logits: Tensor, y: Tensor, weight: float = 0.0, constant: float = 1.0, smoothing: float = 0.0
) -> Tensor:
    """TET of the outputs of all timesteps, 0-d.

    Args:
        logits: (time, batch, classes).
        y: classes, (batch,).
        weight: lambda, in [0, 1).
        constant: theta, in the unit of the outputs.
        smoothing: share of y that is spread over all classes, in [0, 1).
    """
    steps = logits.shape[0]
    entropy = functional.cross_entropy(
        logits.flatten(0, 1), y.repeat(steps), label_smoothing=smoothing
    )
    if weight == 0.0:
        return entropy
    pull = functional.mse_loss(logits, torch.full_like(logits, constant))
    return (1.0 - weight) * entropy + weight * pull
