"""All steps of a layer of plain neurons in one pass over memory, spikes counted on the way.

The equations are those of `mpo_snn.graph.neurons` for I, IF and LIF with a threshold, in the same
order and with the same roundings, so that every spike and membrane is the same. torch passes over
the values four times a step; here they are read and written once. Compiled by numba, which is
optional (`pip install 'mpo-snn[fast]'`): without it, and where it would not be faster, `is_at_hand`
says no and the layer goes its own way.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from mpo_snn.kernels import is_installed

from .counts import Counts
from .layout import features_in_memory, laid_out

WORTH = 2**17
"""Values of one scan from which on it is worth while; numba takes half a second to load."""
MOST_THREADS = 4
"""With more, torch's own operators, which share the work out, are as fast."""
BLOCK = 512
"""Neurons at a time: their membranes and counts stay in the first-level cache."""


def is_at_hand(drive: Tensor, timesteps: int) -> bool:
    """Whether to scan this input so."""
    return (
        drive.device.type == "cpu"
        and drive.numel() // len(drive) * timesteps >= WORTH
        and torch.get_num_threads() <= MOST_THREADS
        and is_installed("numba")
    )


def fused_scan(
    drive: Tensor,
    v: Tensor,
    out: Tensor,
    constants: tuple[float, float, float],
    counts: Counts | None,
) -> None:
    """Do all steps.

    Args:
        drive: of each step [T, B, *features], or [1, B, *features] of all.
        v: the membranes [B, *features], in memory as the spikes are; changed in place.
        out: takes the spikes [T, B, *features], dense, the features in any order of memory.
        constants: 1 - dt/tau, v_threshold and v_reset.
        counts: takes the sums, if they are wanted.
    """
    timesteps, batch = out.shape[:2]
    order = features_in_memory(out)
    nothing = Counts.zeros((0,) * len(order), 0, drive.device)
    sums = nothing if counts is None else counts
    _kernel()(
        laid_out(drive, order).reshape(len(drive), batch, -1).contiguous().numpy(),
        laid_out(v, order, leading=1).view(batch, -1).numpy(),
        laid_out(out, order).view(timesteps, batch, -1).numpy(),
        torch.tensor(constants, dtype=out.dtype).numpy(),
        sums.line(order).numpy(),
        sums.of_samples.numpy(),
        sums.fan_out.whole(order).numpy(),
        sums.driven.numpy(),
        counts is not None,
    )


@cache
def _kernel() -> Any:
    """The compiled loop, kept on disk from one process to the next where that can be written."""
    from mpo_snn.kernels.numba_memory import exact

    return exact(_scan)


def _scan(
    drive: Any,
    v: Any,
    out: Any,
    constants: Any,
    of_neurons: Any,
    of_samples: Any,
    fan_out: Any,
    driven: Any,
    counted: bool,
) -> None:
    timesteps, batch, neurons = out.shape
    decay, threshold, reset = constants[0], constants[1], constants[2]
    zero = constants[0] - constants[0]
    fired = constants[:1].repeat(BLOCK) * 0  # of the precision of the spikes
    for b in range(batch):
        for start in range(0, neurons, BLOCK):
            size = min(BLOCK, neurons - start)
            v_now = v[b, start : start + size]
            for t in range(timesteps):
                x = drive[t if len(drive) > 1 else 0, b, start : start + size]
                spk = out[t, b, start : start + size]
                for n in range(size):
                    value = v_now[n] * decay + x[n]
                    s = zero + (value > threshold)
                    spk[n] = s
                    value = value - s * value
                    v_now[n] = value + s * reset
                    fired[n] += s
            if counted:
                total = 0
                counts = of_neurons[start : start + size]
                for n in range(size):
                    counts[n] += fired[n]
                    total += int(fired[n])  # as whole numbers, which may be added in any order
                of_samples[b] += total
                for k in range(len(fan_out)):
                    each = fan_out[k, start : start + size]
                    total = 0
                    for n in range(size):
                        total += int(fired[n]) * int(each[n])
                    driven[b, k] += total
            fired[:] = zero
