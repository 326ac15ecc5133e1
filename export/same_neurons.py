r"""Graphs in units of their thresholds, so that only what their neurons compute is compared.

A neuron is the same in any unit of its membrane, and with gain, threshold and the weights in front
scaled against each other. Written with gain 1 and threshold 1, wherever weights in front can take
the factor, two graphs of the same neurons have the same parameters.
"""

from __future__ import annotations

import nir
import numpy as np

from .foldings.flow import Flow, with_fields
from .foldings.gain import set_gain
from .foldings.subtraction import write_subtraction_as_lif
from .foldings.weights import scale_input


def in_units_of_threshold(graph: nir.NIRGraph, dt: float) -> nir.NIRGraph:
    """The graph with gain and threshold 1 in every neuron; a reset by subtraction as a plain LIF.

    Args:
        graph: as `check_graph` accepts it.
        dt: its timestep in seconds.
    """
    flow = write_subtraction_as_lif(Flow.of(graph, dt), "next", "step")
    flow = set_gain(flow, "step")
    for name in flow.named("LIF", "IF", "CubaLIF"):
        node = flow.nodes[name]
        threshold = np.asarray(node.v_threshold, dtype=np.float64)
        scaled = scale_input(flow, name, 1.0 / threshold) if bool((threshold > 0).all()) else None
        if scaled is None:
            continue
        rests = {key: getattr(node, key) for key in ("v_reset", "v_leak") if hasattr(node, key)}
        fields = {key: value / threshold for key, value in rests.items()}
        one = with_fields(node, v_threshold=np.ones_like(threshold), **fields)
        flow = scaled.with_node(name, one)
    return flow.graph()
