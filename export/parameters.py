"""Compares the parameters of two graphs of the same form, value by value.

Spikes can only show what the data reaches: a damaged weight behind a neuron that stays silent on
every sample changes nothing that a run could see. Where a file has the form that the export of the
network has, its parameters are therefore compared as well.
"""

from __future__ import annotations

from dataclasses import fields

import nir
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
RELATIVE_TOLERANCE = 1e-9
_NOT_PARAMETERS = {"input_type", "output_type", "metadata", "nodes", "edges"}


def have_same_form(expected: nir.NIRGraph, found: nir.NIRGraph) -> bool:
    """Whether both graphs have the same nodes by name and kind, and the same edges."""
    kinds = [{name: type(node) for name, node in g.nodes.items()} for g in (expected, found)]
    edges = [{(str(a), str(b)) for a, b in g.edges} for g in (expected, found)]
    return kinds[0] == kinds[1] and edges[0] == edges[1]


def has_float32_weights(graph: nir.NIRGraph) -> bool:
    """Whether every weight is a number of float32, as a network in that precision writes them."""
    weights = [np.asarray(n.weight) for n in graph.nodes.values() if hasattr(n, "weight")]
    return bool(weights) and all(np.array_equal(w, w.astype(np.float32)) for w in weights)


def parameter_differences(
    expected: nir.NIRGraph, found: nir.NIRGraph, tolerance: float = RELATIVE_TOLERANCE
) -> list[str]:
    """One line for every parameter that differs beyond a share of its largest value.

    Args:
        expected: graph as the network exports.
        found: graph of the same form (`have_same_form`).
        tolerance: the share.
    """
    lines = []
    for name, node in expected.nodes.items():
        for field in fields(node):
            if field.name in _NOT_PARAMETERS:
                continue
            a, b = getattr(node, field.name), getattr(found.nodes[name], field.name)
            line = _difference(a, b, tolerance)
            if line:
                lines.append(f"{field.name} of node '{name}' {line}")
    return lines


def _difference(a: object, b: object, tolerance: float) -> str:
    one, other = np.asarray(a), np.asarray(b)
    if one.shape != other.shape:
        return f"has shape {other.shape}, expected {one.shape}."
    if one.dtype.kind not in "fiu" or other.dtype.kind not in "fiu":
        return "" if np.array_equal(one, other) else f"is {b}, expected {a}."
    one, other = one.astype(np.float64), other.astype(np.float64)
    return values_beyond(one, other, tolerance * float(np.abs(one).max(initial=0.0)))


def values_beyond(expected: Array, found: Array, tolerance: float | Array) -> str:
    """How many values differ by more than the tolerance, and the first; "" where none does."""
    wrong = ~(np.abs(expected - found) <= tolerance)
    if not wrong.any():
        return ""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    where = f"[{', '.join(map(str, index))}]" if index else "the only one"
    one, other = told_apart(float(found[index]), float(expected[index]))
    return (
        f"differs in {int(wrong.sum())} of {expected.size} values, first {where}: {one}, expected"
        f" {other}."
    )


def told_apart(one: float, other: float) -> tuple[str, str]:
    """Two numbers in as many digits as tell them apart, 9 or more."""
    texts = ((f"{one:.{digits}g}", f"{other:.{digits}g}") for digits in range(9, 18))
    return next((pair for pair in texts if pair[0] != pair[1]), (f"{one!r}", f"{other!r}"))
