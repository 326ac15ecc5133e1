"""Reshapes that are flattenings, written as what they are.

`x.view(x.size(0), -1)` and `torch.reshape(x, (x.shape[0], -1))` are `torch.flatten(x, 1)`: the
batch size is that of the very tensor, and one axis takes all the rest. No other reshape is touched.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx

_METHODS = ("view", "reshape")


def write_reshapes_as_flatten(graph: fx.Graph) -> None:
    """Rewrite such reshapes in place, and drop the sizes that nothing reads any more."""
    for node in list(graph.nodes):
        source = _flattened(node)
        if source is None:
            continue
        sizes = [used for used in node.all_input_nodes if used is not source]
        with graph.inserting_before(node):
            flat = graph.call_function(torch.flatten, (source, 1))
        flat.stack_trace = node.stack_trace
        node.replace_all_uses_with(flat)
        graph.erase_node(node)
        for size in sizes:
            _erase_unread(graph, size, source)


def _flattened(node: fx.Node) -> fx.Node | None:
    """The tensor that the node flattens from its second axis on, if it does that."""
    is_method = node.op == "call_method" and node.target in _METHODS
    is_function = node.op == "call_function" and node.target is torch.reshape
    if not (is_method or is_function) or not node.args:
        return None
    source, *shape = node.args
    if "shape" in node.kwargs:
        shape.append(node.kwargs["shape"])
    if len(shape) == 1 and isinstance(shape[0], tuple | list):
        shape = list(shape[0])
    if len(shape) != 2 or not isinstance(source, fx.Node):
        return None
    return source if _is_batch_size(shape[0], source) and _is_rest(shape[1]) else None


def _is_rest(size: Any) -> bool:
    return type(size) is int and size == -1


def _is_batch_size(size: Any, of: fx.Node) -> bool:
    """Whether a value is `of.size(0)`, `of.size()[0]` or `of.shape[0]`."""
    if not isinstance(size, fx.Node):
        return False
    if size.op == "call_method" and size.target == "size":
        return size.args[0] is of and (size.args[1:] == (0,) or size.kwargs == {"dim": 0})
    if size.target is not operator.getitem or size.args[1] != 0:
        return False
    return _is_shape(size.args[0], of)


def _is_shape(value: Any, of: fx.Node) -> bool:
    if not isinstance(value, fx.Node) or not value.args or value.args[0] is not of:
        return False
    if value.op == "call_method" and value.target == "size":
        return len(value.args) == 1 and not value.kwargs
    return value.target is getattr and value.args[1] == "shape"


def _erase_unread(graph: fx.Graph, node: fx.Node, source: fx.Node) -> None:
    """Erase a size, and the shape it is taken from, where nothing reads them."""
    while node is not source and not node.users:
        (before,) = node.all_input_nodes
        graph.erase_node(node)
        node = before
