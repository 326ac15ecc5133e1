"""A name for every way into a layer, from which those of its tensors and nodes are made."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from .layers import Layer


def way_names(
    layers: Iterable[Layer], prefix: str = "", others: Collection[str] = ()
) -> dict[str, tuple[str, ...]]:
    """`LAYER.SOURCE` for every projection of each layer, by the name of the layer.

    Names of layers may have dots, and a source several ways: a name that is taken gets a number
    behind it, from the place of the projection in its layer on, from 0.

    Args:
        layers: all that share the names.
        prefix: stands in front of the source.
        others: names that something else has.
    """
    taken = set(others)
    found: dict[str, tuple[str, ...]] = {}
    for layer in layers:
        names = []
        for number, source in enumerate(layer.sources):
            name = plain = f"{layer.name}.{prefix}{source}"
            while name in taken:
                name, number = f"{plain}.{number}", number + 1
            taken.add(name)
            names.append(name)
        found[layer.name] = tuple(names)
    return found
