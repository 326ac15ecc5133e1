"""One node in front of the Output, for readers that give back what enters it one by one.

NIR adds up the edges into a node, the Output like any other. Where several end there, a Scale of
ones takes them first, and its sum alone goes on.
"""

from __future__ import annotations

from dataclasses import replace

import nir
import numpy as np

from .flow import Flow


def join_output(flow: Flow) -> Flow:
    """The flow with one edge into its Output."""
    (end,) = flow.flat.outputs
    sources = flow.sources(end)
    if len(sources) < 2:
        return flow
    name = flow.free_name(f"{end}.sum")
    nodes = {**flow.nodes, name: nir.Scale(scale=np.ones(flow.shapes[sources[0]]))}
    edges = [(a, name if b == end else b) for a, b in flow.edges]
    joined = replace(flow, nodes=nodes, edges=[*edges, (name, end)])
    return joined.noting(f"what '{end}' adds up into a Scale of ones in front of it")
