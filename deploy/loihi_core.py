"""The integer neuron of Loihi 1 and 2 (CubaLIF), bit for bit, in two's complement.

`docs/cores.md` has the equations of a step. Two emulators that call themselves bit-accurate agree
with this while nothing overflows; at the rails they differ from each other (lava 0.10.0 wraps u
once and lets +2^23 stand, nengo-loihi 1.1.0 is two's complement, as here). `LoihiState`
therefore counts every overflow.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .fixed_point import limits, shift_to_zero, wrap

SUM_BITS, CURRENT_BITS = 22, 24
DECAY_ONE = 4096
V_MAX = (1 << 23) - 1


@dataclass(frozen=True)
class LoihiNeurons:
    """One population; int64.

    Attributes:
        decay_u: stored, (N,) or (), 0 to 4095; decay_u + 1 parts in 4096 of the current are lost.
        decay_v: (N,) or (), 0 to 4095; so many parts in 4096 of the membrane are lost.
        threshold: in units of the membrane, (N,) or (): a 17-bit mantissa times 64.
        bias: likewise: a mantissa times a power of two.
        v_min: lowest membrane.
        v_max: highest membrane.
    """

    decay_u: Tensor
    decay_v: Tensor
    threshold: Tensor
    bias: Tensor
    v_min: int = -V_MAX
    v_max: int = V_MAX


class LoihiState:
    """Currents and membranes of a population while it runs, from rest.

    Attributes:
        u: currents, (B, N).
        v: membranes after the reset, (B, N).
        overflows: times that a sum of weights, a current or a current with its bias did not fit.
        clamped: times that a membrane was clamped.
    """

    def __init__(self, neurons: LoihiNeurons, batch: int, count: int) -> None:
        """Put `count` neurons of `batch` samples to rest."""
        self.neurons = neurons
        self.u = self.v = torch.zeros(batch, count, dtype=torch.int64)
        self.overflows = self.clamped = 0

    def step(self, total: Tensor) -> Tensor:
        """Advance by one timestep.

        Args:
            total: sum of the stored weights that spikes reach each neuron with, int64 (B, N);
                stored weights carry their shift by 6 bits and the weight exponent.

        Returns:
            spikes, bool (B, N).
        """
        neurons = self.neurons
        q = self._wrapped(total, SUM_BITS)
        kept = shift_to_zero(self.u * (DECAY_ONE - 1 - neurons.decay_u), 12)
        self.u = self._wrapped(kept + q, CURRENT_BITS)
        drive = self._wrapped(self.u + neurons.bias, CURRENT_BITS)
        wanted = shift_to_zero(self.v * (DECAY_ONE - neurons.decay_v), 12) + drive
        v = wanted.clamp(neurons.v_min, neurons.v_max)
        self.clamped += int((v != wanted).sum())
        spikes = v > neurons.threshold
        self.v = v.masked_fill(spikes, 0)
        return spikes

    def _wrapped(self, x: Tensor, bits: int) -> Tensor:
        low, high = limits(bits)
        self.overflows += int(((x < low) | (x > high)).sum())
        return wrap(x, bits)


@dataclass
class LoihiRun:
    """What a run gave.

    Attributes:
        spikes: (T, B, N), 0 and 1.
        u: currents, (T, B, N).
        v: membranes after the reset, (T, B, N).
        overflows: as in `LoihiState`.
        clamped: likewise.
    """

    spikes: Tensor
    u: Tensor
    v: Tensor
    overflows: int = 0
    clamped: int = 0


def run_loihi(neurons: LoihiNeurons, total: Tensor) -> LoihiRun:
    """Run a population from rest.

    Args:
        neurons: its parameters.
        total: as in `LoihiState.step`, for every timestep: (T, B, N).
    """
    run = LoihiRun(torch.zeros_like(total), torch.zeros_like(total), torch.zeros_like(total))
    state = LoihiState(neurons, *total.shape[1:])
    for t, q in enumerate(total):
        run.spikes[t] = state.step(q)
        run.u[t], run.v[t] = state.u, state.v
    run.overflows, run.clamped = state.overflows, state.clamped
    return run
