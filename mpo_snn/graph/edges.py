"""Who feeds whom in a flat graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable


def predecessors(edges: Iterable[tuple[str, str]]) -> defaultdict[str, list[str]]:
    """Sources of each node, in the order of the edges."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        found[target].append(source)
    return found


def successors(edges: Iterable[tuple[str, str]]) -> defaultdict[str, list[str]]:
    """Targets of each node, in the order of the edges."""
    return predecessors((target, source) for source, target in edges)
