"""Removes nodes that NIR does not need: identities, and sums, for edges into a node add up.

`c(a + b)` becomes edges a -> c and b -> c. NIR refuses the same edge twice, so a term that reaches
a node a second time goes through a Scale of ones, which changes nothing.
"""

from __future__ import annotations

from .draft import Addition, Draft, Identity, Multiplication


def remove_identities(draft: Draft) -> Draft:
    """The draft without dropout and identity layers, which do nothing in eval mode."""
    for name, node in list(draft.nodes.items()):
        if isinstance(node, Identity):
            draft = draft.without(name)
    return draft


def merge_additions(draft: Draft) -> Draft:
    """The draft without additions; what they fed is fed by each of their terms."""
    while True:
        name = next((n for n, x in draft.nodes.items() if isinstance(x, Addition)), None)
        if name is None:
            return draft
        draft = _merge(draft, name)


def _merge(draft: Draft, name: str) -> Draft:
    terms = _terms(draft, name)
    nodes = {n: x for n, x in draft.nodes.items() if n != name}
    kept = [(a, b) for a, b in draft.edges if name not in (a, b)]
    for target in draft.targets(name):
        for term in terms:
            if (term, target) in kept:
                copy = f"{name}.{term}"
                while copy in nodes:
                    copy += "+"
                nodes[copy] = Multiplication(draft.nodes[term].shape, 1.0)
                kept += [(term, copy), (copy, target)]
            else:
                kept.append((term, target))
    return draft.with_changes(nodes, kept)


def _terms(draft: Draft, name: str) -> list[str]:
    """Sources of the addition, one that was added to itself as often as it was."""
    node = draft.nodes[name]
    sources = draft.sources(name)
    if isinstance(node, Addition) and len(sources) == 1:
        return sources * len(node.inputs)
    return sources
