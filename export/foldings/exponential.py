r"""tau in steps of an exact decay, for readers that take it so.

Where a reader computes :math:`v \leftarrow e^{-1/\tau} v + x`, :math:`\tau = -1 / \ln\beta` keeps
the leak :math:`\beta = 1 - dt/\tau_\text{NIR}` of a step, and r = 1 says that its gain is 1. The
graph then no longer says in NIR's terms what is meant; read back, tau is dt / (1 - beta) again.
"""

from __future__ import annotations

import numpy as np

from mpo_snn.graph.euler import IF_TAU_STEPS

from .flow import Flow, with_fields
from .no_leak import euler_steps

GONE = 1e-3
"""tau in steps of a membrane of which a step leaves nothing: exp(-1000) is 0 in float64."""


def write_tau_in_steps(flow: Flow) -> Flow:
    """The flow with tau in steps; the gain of every LIF must be 1 (`gain`, form `step`)."""
    for name in flow.named("LIF"):
        node = flow.nodes[name]
        beta = 1.0 - flow.dt / node.tau
        with np.errstate(divide="ignore"):
            tau = np.where(beta <= 0.0, GONE, -1.0 / np.log(np.maximum(beta, 0.0)))
        tau = np.where(beta >= 1.0, IF_TAU_STEPS, tau)
        flow = flow.with_node(name, with_fields(node, tau=tau, r=np.ones_like(tau))).noting(
            f"tau of '{name}' into steps, -1 / ln(beta)"
        )
    return flow


def read_tau_in_steps(flow: Flow) -> Flow:
    """The flow with the leak and the gain of 1 that such a reader gives every LIF."""
    for name in flow.named("LIF"):
        node = flow.nodes[name]
        beta = np.exp(-1.0 / node.tau)
        steps = euler_steps(beta)
        flow = flow.with_node(name, with_fields(node, tau=steps * flow.dt, r=steps))
    return flow
