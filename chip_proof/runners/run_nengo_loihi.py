"""nengo-loihi's emulator: the compartments of one block, driven by given sums of weights.

python run_nengo_loihi.py INPUT.npz OUTPUT.npz [INPUT.npz OUTPUT.npz ...]
needs numpy < 2, nengo and nengo-loihi.
"""

from __future__ import annotations

import sys

import numpy as np
from nengo_loihi.block import LoihiBlock
from nengo_loihi.emulator.interface import BlockInfo, CompartmentState


def run(source: str, target: str) -> None:
    """Run every sample from rest."""
    given = np.load(source)
    total = given["total"].astype(np.int32)  # (T, B, N)
    block = LoihiBlock(total.shape[2])
    compartment = block.compartment
    for ours, theirs in (
        ("decay_u", "decay_u"), ("decay_v", "decay_v"), ("threshold", "vth"), ("bias", "bias"),
    ):  # fmt: skip
        setattr(compartment, theirs, given[ours].astype(np.int32))
    compartment.scale_u = compartment.scale_v = False
    compartment.vmin, compartment.vmax = int(given["v_min"]), int(given["v_max"])
    compartment.refract_delay = np.ones(total.shape[2], dtype=np.int32)  # 1: none
    found = {name: np.zeros(total.shape, dtype=np.int64) for name in ("spikes", "u", "v")}
    for sample in range(total.shape[1]):
        state = CompartmentState(BlockInfo([block]), strict=False)
        for t in range(len(total)):
            state.input[0] = total[t, sample]
            state.update(np.random)
            found["spikes"][t, sample] = state.spiked
            found["u"][t, sample] = state.current
            found["v"][t, sample] = state.voltage
    np.savez(target, **found)


if __name__ == "__main__":
    for given, found in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        run(given, found)
