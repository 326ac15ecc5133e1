"""A flat Input instead of an Input with a Flatten behind it, for readers without Flatten.

The samples must then be given flat, (N,) instead of (C, H, W), which changes no value.
"""

from __future__ import annotations

import nir
import numpy as np

from .flow import Flow


def drop_input_flatten(flow: Flow) -> Flow:
    """The flow with a flat Input where a Flatten alone reads it."""
    for name in flow.named("Flatten"):
        (source, *_) = flow.sources(name)
        if flow.kind(source) == "Input" and flow.targets(source) == [name]:
            flat = nir.Input(np.array(flow.shapes[name]))
            flow = flow.without(name).with_node(source, flat).noting("the input is flat")
    return flow
