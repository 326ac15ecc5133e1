r"""The same network at another timestep: only dt/tau, and dt r of what integrates, matter.

.. math::
    \tau' = \tau\, \frac{dt'}{dt}, \qquad r' = r\, \frac{dt}{dt'} \text{ (I, IF)}
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .flow import Flow, with_fields

_TIMES = ("tau", "tau_mem", "tau_syn", "delay")


def with_timestep(flow: Flow, dt: float) -> Flow:
    """The flow for a timestep of dt seconds; every membrane and spike stays what it was."""
    if dt == flow.dt:
        return flow
    ratio = dt / flow.dt
    nodes = {}
    for name, node in flow.nodes.items():
        scaled = {k: np.asarray(getattr(node, k)) * ratio for k in _TIMES if hasattr(node, k)}
        if flow.kind(name) in ("I", "IF"):
            scaled = {"r": np.asarray(node.r) / ratio}
        nodes[name] = with_fields(node, **scaled) if scaled else node
    line = f"time constants for a timestep of {dt:g} s, which were for {flow.dt:g} s"
    return replace(flow, nodes=nodes, dt=dt).noting(line)
