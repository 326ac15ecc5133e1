"""nirtorch's `nir_to_torch` with a full map: its wiring, its loops, NIR's equations."""

from __future__ import annotations

import nirtorch
import numpy as np
from nirtorch_map import full_map
from protocol import Recording, main
from torch_steps import run_steps


def run(path: str, x: np.ndarray, dt: float, after: str) -> Recording:
    """See `protocol.main`."""
    network = nirtorch.nir_to_torch(path, full_map(dt))
    return run_steps(network, x, lambda module: getattr(module, "spikes", False))


if __name__ == "__main__":
    main("nirtorch", run)
