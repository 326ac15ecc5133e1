"""SpikingJelly: `import_from_nir` in single-step mode; the state goes from step to step."""

from __future__ import annotations

import numpy as np
from loguru import logger
from protocol import Recording, main
from spikingjelly.activation_based.nir_exchange import import_from_nir
from spikingjelly.activation_based.nir_exchange.from_nir import _NIRStatefulModule
from torch_steps import run_steps


def run(path: str, x: np.ndarray, dt: float, step: str | None) -> Recording:
    """See `protocol.main`."""
    logger.remove()
    model = import_from_nir(path, dt=dt, step_mode="s")
    return run_steps(model, x, lambda module: isinstance(module, _NIRStatefulModule))


if __name__ == "__main__":
    main("spikingjelly", run)
