"""A traced timestep as plain values: `torch.compile` does not look into a graph of torch.fx."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import fx


@dataclass(frozen=True)
class Name:
    """Stands in arguments for what an operation of this name gave."""

    name: str


@dataclass(frozen=True)
class Operation:
    """One node of a graph.

    Attributes:
        name: of what it gives.
        op: kind of the node, as torch.fx has it.
        target: what is called: name of a layer or method, or a function.
        args: with a `Name` for each value from before.
        kwargs: likewise.
        inputs: names of the values in them.
        done: names that nobody asks for afterwards.
    """

    name: str
    op: str
    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[str, ...]
    done: tuple[str, ...]


def operations_of(graph: fx.Graph) -> tuple[Operation, ...]:
    """The nodes of a graph in the order in which they run."""
    last = {used.name: node.name for node in graph.nodes for used in node.all_input_nodes}

    def named(node: fx.Node) -> Name:
        return Name(node.name)

    return tuple(
        Operation(
            node.name,
            node.op,
            node.target,
            with_values(node.args, fx.Node, named),
            with_values(node.kwargs, fx.Node, named),
            tuple(used.name for used in node.all_input_nodes),
            tuple(used for used, by in last.items() if by == node.name),
        )
        for node in graph.nodes
    )


def with_values(args: Any, kind: type, value: Callable[[Any], Any]) -> Any:
    """Nested arguments with everything of a kind replaced."""
    if isinstance(args, kind):
        return value(args)
    if isinstance(args, tuple):
        return tuple([with_values(arg, kind, value) for arg in args])
    if isinstance(args, list):
        return [with_values(arg, kind, value) for arg in args]
    if isinstance(args, dict):
        return {key: with_values(arg, kind, value) for key, arg in args.items()}
    return args
