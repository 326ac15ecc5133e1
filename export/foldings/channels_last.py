"""Dense layers behind a Flatten for readers that run images channels last.

Such a reader flattens (H, W, C); columns of W that are in the order (C, H, W) are put in that one.
"""

from __future__ import annotations

import numpy as np

from .flow import Flow, with_fields
from .weights import DENSE


def write_channels_last(flow: Flow) -> Flow:
    """The flow with the columns behind each Flatten in the order (H, W, C)."""
    return _permuted(flow, to_last=True)


def read_channels_last(flow: Flow) -> Flow:
    """The flow with the columns behind each Flatten in NIR's order, (C, H, W), again."""
    return _permuted(flow, to_last=False)


def _permuted(flow: Flow, to_last: bool) -> Flow:
    for name in flow.named("Flatten"):
        shape = flow.input_shape(name)
        if len(shape) != 3:
            continue
        order = np.arange(np.prod(shape)).reshape(shape).transpose(1, 2, 0).ravel()
        for target in flow.targets(name):
            if flow.kind(target) in DENSE:
                weight = flow.nodes[target].weight
                weight = weight[:, order if to_last else np.argsort(order)]
                flow = flow.with_node(target, with_fields(flow.nodes[target], weight=weight))
    return flow
