r"""One tau per layer: a layer split into one LIF for each distinct tau, and merged back.

Neurons with the same tau become a LIF of their own, which a selector layer, rows of the identity,
feeds with what arrives for them; the transposed selectors bring their spikes into one identity
layer, which takes the layer's name. Spikes and order of the neurons stay. For layers on one axis.
"""

from __future__ import annotations

from dataclasses import replace

import nir
import numpy as np

from .flow import Edge, Flow, with_fields

FIELDS = ("tau", "r", "v_leak", "v_threshold", "v_reset")


def split_by_tau(flow: Flow) -> Flow:
    """The flow with one tau in every LIF on one axis."""
    for name in flow.named("LIF"):
        node = flow.nodes[name]
        values = np.unique(node.tau)
        if values.size > 1 and node.tau.ndim == 1:
            flow = _split(flow, name, values).noting(
                f"'{name}' into {values.size} LIF, one for each tau"
            )
    return flow


def join_split_layers(flow: Flow) -> Flow:
    """The flow with layers that `split_by_tau` split in one piece; others are left alone."""
    for name in flow.named("Linear"):
        parts = _parts(flow, name) if name in flow.nodes else []
        if parts:
            flow = _join(flow, name, parts)
    return flow


def _split(flow: Flow, name: str, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Flow:
    node, identity = flow.nodes[name], np.eye(flow.nodes[name].tau.size)
    nodes = {**flow.nodes, name: nir.Linear(identity)}
    edges: list[Edge] = [edge for edge in flow.edges if edge[1] != name]
    sources = flow.sources(name)
    for i, value in enumerate(values):
        rows = node.tau == value
        group, pick, place = (f"{name}.{i}", f"{name}.{i}.in", f"{name}.{i}.out")
        nodes[pick], nodes[place] = nir.Linear(identity[rows]), nir.Linear(identity[:, rows])
        nodes[group] = with_fields(node, **{key: getattr(node, key)[rows] for key in FIELDS})
        edges += [(source, pick) for source in sources]
        edges += [(pick, group), (group, place), (place, name)]
    return replace(flow, nodes=nodes, edges=edges)


def _parts(flow: Flow, name: str) -> list[tuple[str, str, str]]:
    """(selector in, LIF, selector out) of each part of a split layer; [] if it is none."""
    weight = flow.nodes[name].weight
    if weight.shape[0] != weight.shape[1] or not np.array_equal(weight, np.eye(len(weight))):
        return []
    parts, placed = [], np.zeros_like(weight[0])
    for place in flow.sources(name):
        group = flow.sources(place)[:1]
        pick = flow.sources(group[0])[:1] if group else []
        if (
            not pick
            or [flow.kind(n) for n in (pick[0], group[0], place)] != ["Linear", "LIF", "Linear"]
            or flow.targets(place) != [name]
            or flow.targets(group[0]) != [place]
            or flow.sources(group[0]) != pick
            or not np.array_equal(flow.nodes[pick[0]].weight, flow.nodes[place].weight.T)
        ):
            return []
        parts.append((pick[0], group[0], place))
        placed = placed + flow.nodes[place].weight.sum(1)
    return parts if parts and bool((placed == 1.0).all()) else []


def _join(flow: Flow, name: str, parts: list[tuple[str, str, str]]) -> Flow:
    fields = {}
    for key in FIELDS:
        fields[key] = sum(
            flow.nodes[place].weight @ getattr(flow.nodes[group], key) for _, group, place in parts
        )
    gone = {n for part in parts for n in part}
    sources = [a for a, b in flow.edges if b == parts[0][0]]
    nodes = {n: x for n, x in flow.nodes.items() if n not in gone}
    nodes[name] = nir.LIF(**fields)
    edges = [(a, b) for a, b in flow.edges if a not in gone and b not in gone]
    return replace(flow, nodes=nodes, edges=[*edges, *((source, name) for source in sources)])
