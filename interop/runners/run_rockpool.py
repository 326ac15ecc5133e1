"""rockpool: `from_nir`; input is (batch, time, N), dt is what it guesses from r."""

from __future__ import annotations

import nir
import numpy as np
import torch
from protocol import Recording, main
from rockpool.nn.modules.torch import LIFTorch
from rockpool.nn.modules.torch.nir import from_nir


@torch.no_grad()
def run(path: str, x: np.ndarray, dt: float, after: str) -> Recording:
    """See `protocol.main`."""
    network = from_nir(nir.read(path))
    exec(after, {"network": network})
    layers: dict[str, np.ndarray] = {}

    def watch(name: str, layer: torch.nn.Module) -> None:
        def keep(module: torch.nn.Module, inputs: object, returned: tuple) -> None:
            layers[name] = returned[0].transpose(0, 1).numpy()

        layer.register_forward_hook(keep)

    for name, layer in network.named_modules():
        if isinstance(layer, LIFTorch):
            watch(name, layer)
    output = network(torch.from_numpy(x).transpose(0, 1))
    output = output[0] if isinstance(output, tuple) else output
    return output.transpose(0, 1).numpy(), layers


if __name__ == "__main__":
    main("rockpool", run)
