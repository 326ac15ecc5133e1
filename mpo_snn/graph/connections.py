"""Which elements of a weight are connections.

A connection is an element of a stored weight, whatever its value: a zero that pruning or training
left is one too. No connections are the zeros that a smaller layer was written out with, blocks
between groups of channels and margins around a kernel, where the graph says so: its metadata hold,
under `WRITTEN_OUT`, for such nodes the groups and then the sides of the kernel in the middle of the
stored one, as a JSON object. That counts only while all that it leaves out is exactly zero. Nothing
is guessed from values: without such a word every element is a connection, those of a kernel whose
groups NIR itself states as much as those of a dense one.

In a file the word stands with the graph, for nir 1.0.4 reads no Conv2d that has metadata; in a flat
graph it stands with its node (`mpo_snn.graph.inline`), so that it goes where the node goes.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .plain_kernel import ungrouped

WRITTEN_OUT: Final = "mpo_snn_written_out"
"""The key in the metadata of a graph and of a node."""


def written_out(groups: int, kernel: Sequence[int]) -> dict[str, list[int]]:
    """The metadata of a node whose weight holds a layer with these groups and this kernel.

    Args:
        groups: independent groups of channels, or of rows and columns of a matrix.
        kernel: its sides; none for a matrix.
    """
    return {WRITTEN_OUT: [int(groups), *map(int, kernel)]}


def written_out_of(node: Any) -> dict[str, Any]:
    """What `written_out` put into the metadata of a node, and nothing else of them."""
    return {key: value for key, value in node.metadata.items() if key == WRITTEN_OUT}


def move_to_graph(graph: Any) -> None:
    """Say in the metadata of a graph what its nodes say in theirs; the nodes fall silent."""
    told = {
        name: node.metadata.pop(WRITTEN_OUT)
        for name, node in graph.nodes.items()
        if WRITTEN_OUT in node.metadata
    }
    if told:
        graph.metadata[WRITTEN_OUT] = json.dumps(told)


def nodes_told(graph: Any) -> dict[str, Any]:
    """The nodes of a graph; those of which it says something are copies that say it themselves."""
    try:
        told = json.loads(graph.metadata.get(WRITTEN_OUT, "{}"))
    except (TypeError, ValueError, RecursionError):
        told = {}
    nodes = dict(graph.nodes)
    for name in nodes.keys() & (told if isinstance(told, dict) else {}):
        nodes[name] = copy.copy(nodes[name])
        nodes[name].metadata = {**nodes[name].metadata, WRITTEN_OUT: told[name]}
    return nodes


def connections(node: Any) -> NDArray[np.bool_]:
    """Where the weight of a node has connections, of the shape of the weight (rule at the top).

    Args:
        node: Affine, Linear, Conv1d or Conv2d.
    """
    weight = np.asarray(node.weight)
    every = np.broadcast_to(np.True_, weight.shape)
    layer = _layer_in(weight.shape, node.metadata.get(WRITTEN_OUT))
    if layer is None:
        return every
    groups, *kernel = layer
    out, inner, *sides = weight.shape
    margins = [(side - k) // 2 for side, k in zip(sides, kernel, strict=True)]
    block = np.pad(
        np.ones((out, inner // groups, *kernel)), [(0, 0), (0, 0), *((m, m) for m in margins)]
    )
    found = ungrouped(block, groups) != 0
    return every if np.any(weight[~found]) else found


def count_connections(node: Any) -> int:
    """How many connections the weight of a node has; arguments as in `connections`."""
    layer = node.metadata.get(WRITTEN_OUT)
    return int(np.size(node.weight) if layer is None else np.count_nonzero(connections(node)))


def layer_inside(node: Any) -> tuple[NDArray[np.float64], int, tuple[int, ...]] | None:
    """The layer that the weight of a node was written out from, if it still holds it.

    Args:
        node: Conv1d or Conv2d.

    Returns:
        the kernel (out, in / groups, *kernel), the groups, and by how many elements the stored
        kernel is larger on either side of each axis; None where all of the weight is connections.
    """
    weight = np.asarray(node.weight, dtype=np.float64)
    layer = _layer_in(weight.shape, node.metadata.get(WRITTEN_OUT))
    if layer is None or connections(node).all():
        return None
    groups, *kernel = layer
    out, inner, *sides = weight.shape
    margins = tuple((side - k) // 2 for side, k in zip(sides, kernel, strict=True))
    middle = tuple(slice(m, m + k) for m, k in zip(margins, kernel, strict=True))
    rows, columns = out // groups, inner // groups
    blocks = [
        weight[(slice(g * rows, (g + 1) * rows), slice(g * columns, (g + 1) * columns), *middle)]
        for g in range(groups)
    ]
    return np.concatenate(blocks), groups, margins


def _layer_in(shape: tuple[int, ...], layer: Any) -> tuple[int, ...] | None:
    """Groups and sides of the kernel; None where they do not fit in a weight of this shape."""
    if not isinstance(layer, list) or not all(type(n) is int and n > 0 for n in layer):
        return None
    if len(layer) != len(shape) - 1:
        return None
    groups, *kernel = layer
    room = [side - k for side, k in zip(shape[2:], kernel, strict=True)]
    fits = all(r >= 0 and r % 2 == 0 for r in room) and math.gcd(*shape[:2]) % groups == 0
    return (groups, *kernel) if fits else None
