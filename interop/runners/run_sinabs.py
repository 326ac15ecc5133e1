"""sinabs: `from_nir` with the batch size; it wants batch and time in one axis, batch first."""

from __future__ import annotations

import nir
import numpy as np
import sinabs.layers as sl
import torch
from protocol import Recording, main
from sinabs.nir import from_nir


@torch.no_grad()
def run(path: str, x: np.ndarray, dt: float, after: str) -> Recording:
    """See `protocol.main`; tau is in steps, so dt has no use."""
    timesteps, batch = x.shape[:2]
    network = from_nir(nir.read(path), batch_size=batch)
    exec(after, {"network": network})
    layers: dict[str, np.ndarray] = {}

    def time_first(y: torch.Tensor) -> np.ndarray:
        return y.unflatten(0, (batch, timesteps)).transpose(0, 1).numpy()

    def watch(name: str, layer: torch.nn.Module) -> None:
        def keep(module: torch.nn.Module, inputs: object, y: torch.Tensor) -> None:
            layers[name] = time_first(y)

        layer.register_forward_hook(keep)

    for name, layer in network.named_modules():
        if isinstance(layer, sl.LIFSqueeze | sl.IAFSqueeze):
            watch(name, layer)
    batch_first = torch.from_numpy(x).transpose(0, 1).flatten(0, 1)
    output = network(batch_first)
    return time_first(output[0] if isinstance(output, tuple) else output), layers


if __name__ == "__main__":
    main("sinabs", run)
