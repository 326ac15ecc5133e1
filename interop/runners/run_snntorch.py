"""snnTorch: `import_from_nir`. It takes dt = 1e-4 s, whatever the file was written for.

Step `subtract`: reset by subtraction one step later, snnTorch's default, which no file can ask for.
"""

from __future__ import annotations

import nir
import numpy as np
import snntorch
from protocol import Recording, main
from snntorch.import_nir import import_from_nir
from torch_steps import run_steps


def run(path: str, x: np.ndarray, dt: float, step: str | None) -> Recording:
    """See `protocol.main`."""
    if dt != 1e-4:
        raise ValueError(f"snnTorch reads every file with dt = 1e-4 s, not {dt:g}")
    model = import_from_nir(nir.read(path))
    if step == "subtract":
        for module in model.modules():
            if isinstance(module, snntorch.Leaky):
                module.reset_mechanism = "subtract"
                module.reset_delay = True
                module.state_function = module._base_sub
    return run_steps(model, x, lambda module: isinstance(module, snntorch.SpikingNeuron))


if __name__ == "__main__":
    main("snntorch", run)
