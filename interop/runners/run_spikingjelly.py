"""SpikingJelly: `import_from_nir` in single-step mode; the state goes from step to step."""

from __future__ import annotations

import numpy as np
from loguru import logger
from protocol import Recording, main
from spikingjelly.activation_based.nir_exchange import import_from_nir
from spikingjelly.activation_based.nir_exchange.from_nir import _NIRStatefulModule
from torch_steps import run_steps


def run(path: str, x: np.ndarray, dt: float, after: str) -> Recording:
    """See `protocol.main`."""
    logger.remove()
    network = import_from_nir(path, dt=dt, step_mode="s")
    return run_steps(network, x, lambda module: isinstance(module, _NIRStatefulModule))


if __name__ == "__main__":
    main("spikingjelly", run)
