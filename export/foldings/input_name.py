"""The Input called `input`, for readers that look for that name."""

from __future__ import annotations

from dataclasses import replace

from .flow import Flow

NAME = "input"


def name_input(flow: Flow) -> Flow:
    """The flow with its Input called `input`; the same flow where another node has that name."""
    (old,) = flow.flat.inputs
    if NAME in flow.nodes:
        return flow
    nodes = {NAME if name == old else name: node for name, node in flow.nodes.items()}
    edges = [(NAME if a == old else a, b) for a, b in flow.edges]
    return replace(flow, nodes=nodes, edges=edges).noting(f"'{old}' called '{NAME}'")
