r"""Input gain: what a step multiplies the input of a membrane by, set to the one a reader has.

In units u = f v of the membrane the equation is the same with f times as large a threshold,
v_leak, v_reset and gain, so no spike changes. A step's gain is g = dt r / tau (LIF), dt r (IF),
or the product of that of synapse and membrane, dt^2 w_in r / (tau_syn tau_mem) (CubaLIF).

- `one`: r' = 1, for a LIF f = 1 / r. A reader that ignores r computes this.
- `step`: r' = tau / dt, gain 1, f = 1 / g.

IF takes r' = 1 / dt, CubaLIF r' = tau_mem / dt and w_in' = tau_syn / dt in both. A layer with a
gain that is not positive stays as it is.
"""

from __future__ import annotations

from typing import Literal

import nir
import numpy as np

from mpo_snn.graph.kinds import kind_of

from .flow import Flow, with_fields
from .weights import Array

Form = Literal["one", "step"]


def set_gain(flow: Flow, form: Form) -> Flow:
    """The flow with the gain of every spiking neuron in one form."""
    for name in flow.named("LIF", "IF", "CubaLIF"):
        node = flow.nodes[name]
        factor, gains = _change(node, flow.dt, form)
        if not bool((np.isfinite(factor) & (factor > 0)).all()):
            continue
        own = {
            key: getattr(node, key)
            for key in ("v_threshold", "v_reset", "v_leak")
            if hasattr(node, key)
        }
        scaled = {key: value * factor for key, value in own.items()}
        if bool((factor == 1.0).all()) and all(
            np.array_equal(getattr(node, key), value) for key, value in gains.items()
        ):
            continue
        flow = flow.with_node(name, with_fields(node, **scaled, **gains)).noting(
            f"gain of '{name}' into its threshold"
        )
    return flow


def read_if_as_adding(flow: Flow) -> Flow:
    """What a reader computes that adds the input of an IF, whatever its r: r = 1 / dt."""
    for name in flow.named("IF"):
        node = flow.nodes[name]
        flow = flow.with_node(name, with_fields(node, r=np.full_like(node.r, 1.0 / flow.dt)))
    return flow


def _change(node: nir.NIRNode, dt: float, form: Form) -> tuple[Array, dict[str, Array]]:
    """The factor f and the fields that set the gain."""
    with np.errstate(divide="ignore", over="ignore"):
        if kind_of(node) == "IF":
            return 1.0 / (dt * node.r), {"r": np.full_like(node.r, 1.0 / dt)}
        if kind_of(node) == "LIF":
            if form == "one":
                return 1.0 / node.r, {"r": np.ones_like(node.r)}
            steps = node.tau / dt
            return steps / node.r, {"r": steps}
        steps, synaptic = node.tau_mem / dt, node.tau_syn / dt
        return (steps / node.r) * (synaptic / node.w_in), {"r": steps, "w_in": synaptic}
