"""sinabs: `from_nir` with the batch size; it wants batch and time in one axis, batch first.

Step `single_spike_reset`: one spike a step, reset to zero, no lower bound of the membrane, on every
layer: the settings without which sinabs subtracts as many thresholds as fit.
"""

from __future__ import annotations

import nir
import numpy as np
import sinabs.layers as sl
import torch
from protocol import Recording, main
from sinabs.activation import MembraneReset, SingleSpike
from sinabs.nir import from_nir


@torch.no_grad()
def run(path: str, x: np.ndarray, dt: float, step: str | None) -> Recording:
    """See `protocol.main`; tau is in steps, so dt has no use."""
    timesteps, batch = x.shape[:2]
    model = from_nir(nir.read(path), batch_size=batch)
    layers: dict[str, np.ndarray] = {}

    def time_first(y: torch.Tensor) -> np.ndarray:
        return y.unflatten(0, (batch, timesteps)).transpose(0, 1).numpy()

    def watch(name: str, layer: torch.nn.Module) -> None:
        def keep(module: torch.nn.Module, inputs: object, y: torch.Tensor) -> None:
            layers[name] = time_first(y)

        layer.register_forward_hook(keep)

    for name, layer in model.named_modules():
        if isinstance(layer, sl.LIFSqueeze | sl.IAFSqueeze):
            watch(name, layer)
            if step == "single_spike_reset":
                layer.spike_fn, layer.reset_fn, layer.min_v_mem = SingleSpike, MembraneReset(), None
    batch_first = torch.from_numpy(x).transpose(0, 1).flatten(0, 1)
    output = model(batch_first)
    return time_first(output[0] if isinstance(output, tuple) else output), layers


if __name__ == "__main__":
    main("sinabs", run)
