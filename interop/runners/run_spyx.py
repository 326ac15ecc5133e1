"""spyx: `from_nir` with dt given, as its default is 1; time first, channels last.

Its states hold membranes, not spikes, so only the output is shown.
"""

from __future__ import annotations

import nir
import numpy as np
from protocol import Recording, main
from spyx.nir import from_nir


def run(path: str, x: np.ndarray, dt: float, after: str) -> Recording:
    """See `protocol.main`."""
    channels_last = np.moveaxis(x, 2, -1) if x.ndim == 5 else x
    _, output = from_nir(nir.read(path), channels_last, dt=dt)
    output = np.asarray(output)
    return np.moveaxis(output, -1, 2) if output.ndim == 5 else output, {}


if __name__ == "__main__":
    main("spyx", run)
