"""Norse: `from_nir` with dt given, as its default is 1e-3 s."""

from __future__ import annotations

import logging

import nir
import norse.torch
import numpy as np
from norse.torch.module.iaf import IAFCell
from norse.torch.module.lif_box import LIFBoxCell
from norse.torch.utils.import_nir import CubaLIF
from protocol import Recording, main
from torch_steps import run_steps

NEURONS = (IAFCell, LIFBoxCell, CubaLIF)


def run(path: str, x: np.ndarray, dt: float, after: str) -> Recording:
    """See `protocol.main`."""
    logging.disable(logging.WARNING)
    network = norse.torch.from_nir(nir.read(path), dt=dt)
    return run_steps(network, x, lambda module: isinstance(module, NEURONS))


if __name__ == "__main__":
    main("norse", run)
