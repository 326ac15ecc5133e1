r"""A LIF as a CubaLIF whose synapse forgets within a step, for readers that take CubaLIF alone.

Where a reader computes :math:`i \leftarrow \alpha (i + x)`, :math:`v \leftarrow \beta v + i` with
:math:`\alpha = e^{-dt/\tau_\text{syn}}, \beta = e^{-dt/\tau_\text{mem}}` and takes dt from
r = tau_mem / dt - 1, :math:`\alpha = 10^{-7}` and inputs :math:`10^7` times as large give
:math:`i = x` to within float32; their product is a gain like any other. Read back, a synapse with
so small an alpha is none.
"""

from __future__ import annotations

import nir
import numpy as np

from mpo_snn.graph.euler import IF_TAU_STEPS

from .flow import Flow, with_fields
from .no_leak import euler_steps
from .weights import scale_input

ALPHA = 1e-7
NONE_BELOW = 2e-7


def write_small_gain(flow: Flow) -> Flow:
    """The flow with inputs of every LIF times 1 / ALPHA and its gain times ALPHA."""
    for name in flow.named("LIF"):
        node = flow.nodes[name]
        scaled = scale_input(flow, name, np.full(node.tau.shape, 1.0 / ALPHA))
        if scaled is not None:
            flow = scaled.with_node(name, with_fields(node, r=node.r * ALPHA))
    return flow


def write_lif_as_synaptic(flow: Flow) -> Flow:
    """The flow with every LIF, whose gain must be ALPHA, as a CubaLIF."""
    for name in flow.named("LIF"):
        node = flow.nodes[name]
        beta = 1.0 - flow.dt / node.tau
        if not bool((beta > 0.0).all()) or not np.allclose(node.r * flow.dt / node.tau, ALPHA):
            continue
        with np.errstate(divide="ignore"):
            tau_mem = np.where(beta >= 1.0, flow.dt * IF_TAU_STEPS, -flow.dt / np.log(beta))
        neuron = nir.CubaLIF(
            tau_syn=np.full_like(tau_mem, -flow.dt / np.log(ALPHA)),
            tau_mem=tau_mem,
            r=tau_mem / flow.dt - 1.0,
            v_leak=node.v_leak,
            v_threshold=node.v_threshold,
            v_reset=node.v_reset,
            w_in=np.ones_like(tau_mem),
        )
        flow = flow.with_node(name, neuron).noting(f"'{name}' into a CubaLIF without memory")
    return flow


def read_synaptic(flow: Flow) -> Flow:
    """The flow with each CubaLIF as such a reader computes it: a LIF where alpha is next to 0."""
    for name in flow.named("CubaLIF"):
        node = flow.nodes[name]
        dt = float((node.tau_mem / (1.0 + node.r)).min())
        alpha, beta = np.exp(-dt / node.tau_syn), np.exp(-dt / node.tau_mem)
        syn_steps, steps = euler_steps(alpha), euler_steps(beta)
        fires = {"v_threshold": node.v_threshold, "v_reset": np.zeros_like(beta)}
        membrane = {"v_leak": node.v_leak, **fires}
        if bool((alpha < NONE_BELOW).all()):
            lif = nir.LIF(tau=steps * flow.dt, r=steps * alpha, **membrane)
            flow = flow.with_node(name, lif)
            continue
        flow = flow.with_node(
            name,
            nir.CubaLIF(
                tau_syn=syn_steps * flow.dt,
                tau_mem=steps * flow.dt,
                r=steps,
                w_in=alpha * syn_steps,
                **membrane,
            ),
        )
    return flow
