r"""Readers that fire at :math:`v \ge \theta` instead of :math:`v > \theta`.

In float32 both are the same with the next number above: :math:`v > \theta` is
:math:`v \ge \theta'` with :math:`\theta'` the smallest float32 larger than :math:`\theta`. Read
back it is the largest float32 below :math:`\theta'`, which is :math:`\theta` itself where a
float32 can hold that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .flow import Flow, with_fields
from .weights import Array


def raise_thresholds(flow: Flow) -> Flow:
    """The flow with each threshold at the next float32 above it."""
    for name in flow.named("LIF", "IF", "CubaLIF"):
        node = flow.nodes[name]
        flow = flow.with_node(name, with_fields(node, v_threshold=next_float32(node.v_threshold)))
    return flow.noting("thresholds to the next float32 above, for a reader that fires at equality")


def lower_thresholds(flow: Flow) -> Flow:
    """The flow with thresholds for `>` that fire as the stated ones do for `>=`, in float32."""
    for name in flow.named("LIF", "IF", "CubaLIF"):
        node = flow.nodes[name]
        below = np.nextafter(np.float32(node.v_threshold), np.float32(-np.inf))
        flow = flow.with_node(name, with_fields(node, v_threshold=below.astype(np.float64)))
    return flow


def next_float32(values: Any) -> Array:
    """The smallest float32 larger than each value, as float64."""
    exact = np.asarray(values, dtype=np.float64)
    near = exact.astype(np.float32)
    above = np.where(near > exact, near, np.nextafter(near, np.float32(np.inf)))
    return above.astype(np.float64)
