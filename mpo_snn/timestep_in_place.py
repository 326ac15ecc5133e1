"""Operations in place inside a timestep: harmless only where nobody reads what they changed."""

from __future__ import annotations

import operator

import torch
import torch.nn.functional as F
from torch import fx, nn

from mpo_snn.traced_node import at, layer_of

_ALIASES = (nn.Identity, nn.Flatten, nn.Dropout, nn.Dropout2d)


def in_place_findings(network: nn.Module, node: fx.Node) -> list[str]:
    """One line if the node changes in place what is read elsewhere; empty if all is well."""
    if not _is_in_place(network, node):
        return []
    changed = node.all_input_nodes[0]
    while _is_alias(network, changed):
        changed = changed.all_input_nodes[0]
    if changed.op != "placeholder" and not _is_read_later(network, changed, node):
        return []
    return [
        f"an operation in place{at(node)} changes '{changed.name}', which is read elsewhere too:"
        " write it out of place, e.g. x = x + y."
    ]


def _is_in_place(network: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        return bool(getattr(layer_of(network, node), "inplace", False))
    if node.target is F.relu:
        return bool(node.kwargs.get("inplace", len(node.args) > 1 and node.args[1]))
    return node.target in (operator.iadd, operator.imul, "add_", "mul_")


def _is_read_later(network: nn.Module, value: fx.Node, than: fx.Node) -> bool:
    readers = [user for user in value.users if user is not than]
    return any(
        user > than or (_is_alias(network, user) and _is_read_later(network, user, than))
        for user in readers
    )


def _is_alias(network: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(layer_of(network, node), _ALIASES)
    return node.target in (torch.flatten, operator.getitem, "flatten")
