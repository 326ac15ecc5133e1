"""Time constants of leaks: a step of NIR's simulators keeps 1 - dt / tau of a state."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

IF_TAU_STEPS = 2.0**60
"""tau / dt of what does not leak, where the node must have one: 1 - 2^-60 is 1 in any float."""


def tau_of_leak(leak: Array, dt: float) -> Array:
    """Tau in seconds, which makes the step keep `leak` of a state.

    Args:
        leak: dimensionless, in [0, 1].
        dt: timestep in seconds.
    """
    with np.errstate(divide="ignore"):
        return np.where(leak == 1.0, dt * IF_TAU_STEPS, dt / (1.0 - leak))
