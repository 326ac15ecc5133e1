"""Dense layers with a bias of zero, for readers that drop a layer without one."""

from __future__ import annotations

import nir
import numpy as np

from .flow import Flow


def write_linear_as_affine(flow: Flow) -> Flow:
    """The flow without Linear."""
    for name in flow.named("Linear"):
        weight = flow.nodes[name].weight
        flow = flow.with_node(name, nir.Affine(weight, np.zeros(weight.shape[:-1])))
    return flow
