r"""The synaptic current of a CubaLIF neuron, once: one step, and the readable scan.

.. math::
    i_t = \alpha\, i_{t-1} + g_s\, x_t, \qquad i_{-1} = 0

with :math:`x` what arrives at the synapse and the input gain :math:`g_s = 1 - \alpha` (``decay``;
NIR's CubaLIF with w_in = 1) or 1 (``unit``: snnTorch's habit). The new :math:`i_t` is the current
that drives the membrane in the same step (`mpo_snn.lif`). A spike resets the membrane alone, never
the current: the scan is linear, and it may run over all timesteps before the membrane does.
alpha = 0 has no memory, so the current is the input.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mpo_snn.lif import InputGain


def synapse_step(x: Tensor, syn: Tensor, alpha: Tensor, input_gain: InputGain) -> Tensor:
    """The synaptic current after one step of the equation of this module.

    Args:
        x: input, (batch, *features), in volt.
        syn: the current after the step before, same shape; zeros at the start.
        alpha: leak of the synapse per step in [0, 1], broadcast against x.
        input_gain: whether the input is multiplied by 1 - alpha.
    """
    drive = x if input_gain == "unit" else (1.0 - alpha) * x
    return alpha * syn + drive


def synapse_scan_reference(x: Tensor, alpha: Tensor, input_gain: InputGain) -> Tensor:
    """Run `synapse_step` over all timesteps from silence; shapes (time, batch, *features)."""
    syn = torch.zeros_like(x[0])
    currents = []
    for step in x:
        syn = synapse_step(step, syn, alpha, input_gain)
        currents.append(syn)
    return torch.stack(currents)
