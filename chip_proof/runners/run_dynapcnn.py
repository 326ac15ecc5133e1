"""sinabs' own IF layers on integers: what DynapcnnNetwork runs on a CPU; INPUT.npz, OUTPUT.npz.

python run_dynapcnn.py INPUT.npz OUTPUT.npz [INPUT.npz OUTPUT.npz ...]
needs torch and sinabs, no samna.
"""

from __future__ import annotations

import sys

import numpy as np
import sinabs.layers as sl
import torch
from sinabs.activation import MembraneReset, MembraneSubtract, MultiSpike, SingleSpike


@torch.no_grad()
def run(source: str, target: str) -> None:
    """Run every layer from rest, in float32, whose whole numbers are exact here."""
    given = np.load(source)
    x = torch.from_numpy(given["events"]).float()  # (T, B, channels, height, width)
    found = {}
    for index in range(int(given["layers"])):
        side = int(given[f"pool{index}"])
        if side > 1:
            pooled = torch.nn.functional.avg_pool2d(x.flatten(0, 1), side, divisor_override=1)
            x = pooled.unflatten(0, x.shape[:2])
        weight = torch.from_numpy(given[f"weight{index}"]).float()
        bias = torch.from_numpy(given[f"bias{index}"]).float()
        neurons = sl.IAF(
            spike_threshold=float(given[f"threshold{index}"]),
            spike_fn=MultiSpike if str(given["spikes"]) == "multi" else SingleSpike,
            reset_fn=MembraneSubtract() if str(given["reset"]) == "subtract" else MembraneReset(),
            min_v_mem=float(given[f"lower{index}"]),
            record_states=True,
        )
        current = torch.nn.functional.conv2d(x.flatten(0, 1), weight, bias, padding=1)
        current = current.unflatten(0, x.shape[:2])
        spikes = neurons(current.transpose(0, 1)).transpose(0, 1)
        found[f"spikes{index}"] = spikes.numpy()
        found[f"v{index}"] = neurons.recordings["v_mem"].transpose(0, 1).numpy()
        x = spikes
    np.savez(target, **found)


if __name__ == "__main__":
    for given, found in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        run(given, found)
