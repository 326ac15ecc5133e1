"""Dense layers with a bias of zero, for readers that drop a layer without one."""

from __future__ import annotations

import nir
import numpy as np

from mpo_snn.graph.connections import written_out_of

from .flow import Flow


def write_linear_as_affine(flow: Flow) -> Flow:
    """The flow without Linear."""
    for name in flow.named("Linear"):
        weight, told = flow.nodes[name].weight, written_out_of(flow.nodes[name])
        affine = nir.Affine(weight, np.zeros(weight.shape[:-1]), metadata=told)
        flow = flow.with_node(name, affine)
    return flow
