r"""One threshold per layer, for readers that know one number only.

A neuron n with threshold :math:`\theta_n` in units u = f_n v, :math:`f_n = \theta / \theta_n`, has
the layer's threshold :math:`\theta`, its largest. All that arrives is multiplied by f_n: rows of
the weights in front, or a diagonal layer where there are none. A convolution takes one factor per
channel. A layer with thresholds that are not positive stays as it is.
"""

from __future__ import annotations

import numpy as np

from .flow import Flow, with_fields
from .weights import scale_input


def fold_threshold(flow: Flow) -> Flow:
    """The flow with one threshold per layer, wherever weights can take the difference."""
    for name in flow.named("LIF", "IF", "CubaLIF"):
        node = flow.nodes[name]
        threshold = np.asarray(node.v_threshold, dtype=np.float64)
        if np.unique(threshold).size == 1 or not bool((threshold > 0).all()):
            continue
        factors = threshold.max() / threshold
        scaled = scale_input(flow, name, factors)
        if scaled is None:
            continue
        fields = {"v_threshold": np.full_like(threshold, threshold.max())}
        for key in ("v_reset", "v_leak"):
            if hasattr(node, key):
                fields[key] = getattr(node, key) * factors
        flow = scaled.with_node(name, with_fields(node, **fields)).noting(
            f"thresholds of '{name}' into the weights in front"
        )
    return flow
