r"""Scale nodes into weights: W diag(s) behind it, diag(s) W in front of it.

A Scale moves behind a Flatten, and behind a pool where it is the same within each channel, until
weights take it. Where there are none it becomes a diagonal layer. The feedback Scale of a reset by
subtraction (`subtraction`) stays where it is.
"""

from __future__ import annotations

import nir
import numpy as np

from .flow import Flow
from .subtraction import find_subtractions
from .weights import diagonal, per_channel, scale_columns, scale_rows


def fold_scales(flow: Flow) -> Flow:
    """The flow without the Scales that weights or a diagonal layer can take."""
    kept = {s.feedback for s in find_subtractions(flow).values()}
    while True:
        waiting = [name for name in flow.named("Scale") if name not in kept]
        if not waiting:
            return flow
        name = waiting[0]
        moved = _into_front(flow, name) or _behind(flow, name) or _as_layer(flow, name)
        if moved is None:
            kept.add(name)
        else:
            flow = moved


def _into_front(flow: Flow, name: str) -> Flow | None:
    sources = flow.sources(name)
    if len(sources) != 1 or flow.targets(sources[0]) != [name]:
        return None
    layer = scale_rows(flow.nodes[sources[0]], flow.nodes[name].scale, flow.shapes[name])
    if layer is None:
        return None
    flow = flow.with_node(sources[0], layer).without(name)
    return flow.noting(f"scale '{name}' into '{sources[0]}'")


def _behind(flow: Flow, name: str) -> Flow | None:
    if len(flow.sources(name)) != 1:
        return None
    scale, shape, targets = flow.nodes[name].scale, flow.shapes[name], flow.targets(name)
    if any(flow.sources(target) != [name] for target in targets):
        return None
    (source,) = flow.sources(name)
    if any((source, target) in flow.edges for target in targets):
        return None
    changed = flow
    for target in targets:
        node, kind = flow.nodes[target], flow.kind(target)
        if kind in ("Flatten", "AvgPool2d", "SumPool2d"):
            after = flow.shapes[target]
            if kind == "Flatten":
                moved = np.broadcast_to(scale, shape).reshape(after)
            else:
                values = per_channel(scale, shape)
                if values is None:
                    return None
                moved = np.broadcast_to(values[:, None, None], after).copy()
            for further in flow.targets(target):
                changed = changed.inserted((target, further), name + ".moved", nir.Scale(moved))
            continue
        layer = scale_columns(node, scale, shape)
        if layer is None:
            return None
        changed = changed.with_node(target, layer)
    return changed.without(name).noting(f"scale '{name}' into the weights behind")


def _as_layer(flow: Flow, name: str) -> Flow | None:
    layer = diagonal(flow.shapes[name], flow.nodes[name].scale)
    if layer is None:
        return None
    return flow.with_node(name, layer).noting(f"scale '{name}' into a diagonal layer")
