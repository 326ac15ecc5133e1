r"""An IF neuron as a LIF whose leak is below the precision of any float.

tau = dt 2^60 gives v <- (1 - 2^-60) v + 2^-60 r x, and 1 - 2^-60 is 1 in float64 and float32. With
r' = tau / dt the gain is that of r = 1 / dt; threshold and v_reset go through it:
f = 1 / (dt r), as in `gain`.
"""

from __future__ import annotations

import nir
import numpy as np

from mpo_snn.graph.euler import IF_TAU_STEPS

from ..draft import Array
from .flow import Flow


def write_if_as_lif(flow: Flow) -> Flow:
    """The flow without IF; a layer with a gain that is not positive stays as it is."""
    for name in flow.named("IF"):
        node = flow.nodes[name]
        if not bool((node.r > 0).all()):
            continue
        factor = 1.0 / (flow.dt * node.r)
        lif = nir.LIF(
            tau=np.full_like(node.r, flow.dt * IF_TAU_STEPS),
            r=np.full_like(node.r, IF_TAU_STEPS),
            v_leak=np.zeros_like(node.r),
            v_threshold=node.v_threshold * factor,
            v_reset=node.v_reset * factor,
        )
        flow = flow.with_node(name, lif).noting(f"IF '{name}' into a LIF with tau = dt 2^60")
    return flow


def euler_steps(leak: Array) -> Array:
    """The time constant in steps, 1 / (1 - leak), of an Euler step; that of an IF next to 1."""
    return np.minimum(1.0 / np.maximum(1.0 - leak, 1.0 / IF_TAU_STEPS), IF_TAU_STEPS)
