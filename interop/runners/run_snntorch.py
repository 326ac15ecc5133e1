"""snnTorch: `import_from_nir`. It takes dt = 1e-4 s, whatever the file was written for."""

from __future__ import annotations

import nir
import numpy as np
import snntorch
from protocol import Recording, main
from snntorch.import_nir import import_from_nir
from torch_steps import run_steps


def run(path: str, x: np.ndarray, dt: float, after: str) -> Recording:
    """See `protocol.main`."""
    network = import_from_nir(nir.read(path))
    exec(after, {"network": network})
    return run_steps(network, x, lambda module: isinstance(module, snntorch.SpikingNeuron))


if __name__ == "__main__":
    main("snntorch", run)
