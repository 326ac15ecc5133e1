"""Names of classes: whether there are any, and where two lists of them differ."""

from __future__ import annotations

from collections.abc import Sequence

from mpo_snn.errors import DataError


def are_names(classes: Sequence[str]) -> bool:
    """Whether data names its classes; otherwise they are numbered from 0."""
    return any(name != str(number) for number, name in enumerate(classes))


def first_difference(first: Sequence[str], other: Sequence[str]) -> tuple[int, str, str] | None:
    """The first class that is called otherwise: its number and both names.

    Args:
        first: a list of names, in the order of the labels.
        other: another.

    Returns:
        None if the lists are alike as far as both go, or one of them names nothing.
    """
    if not (are_names(first) and are_names(other)):
        return None
    return differing(first, other)


def differing(first: Sequence[str], other: Sequence[str]) -> tuple[int, str, str] | None:
    """`first_difference` of lists that are to be alike whether they name anything or not."""
    pairs = enumerate(zip(first, other, strict=False))
    return next(((number, one, two) for number, (one, two) in pairs if one != two), None)


def refuse_other_classes(name: str, found: Sequence[str], made_for: Sequence[str]) -> None:
    """Refuse data whose labels mean something else than the outputs of a network.

    Args:
        name: of the data set.
        found: what its classes are called.
        made_for: what the outputs of the network are called.

    Raises:
        DataError: if a class has another name; names of numbered classes are unknown.
    """
    if (difference := first_difference(found, made_for)) is not None:
        number, here, there = difference
        raise DataError(
            f"data set '{name}' does not fit the graph: its class {number} is '{here}', output"
            f" {number} of the graph is '{there}'. Give the data that the graph was made for with"
            " --data.path."
        )
