"""The states of neurons in a timestep, and what it returns: what may not be, by name and line."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from torch import fx, nn

from mpo_snn.traced_node import at, is_state_of, neuron_of

_STATE = (
    "pass an argument of forward, `forward(self, x, mem=None)`, or build it with init_hidden=True"
)


def argument_findings(network: nn.Module, node: fx.Node) -> list[str]:
    """One line if an argument of forward behind the first is not the state of a neuron."""
    if all(user.op == "output" or is_state_of(network, node, user) for user in node.users):
        return []
    return [
        f"argument '{node.target}' of forward is neither the input (the first argument) nor the"
        " state of a neuron: pass one input per timestep."
    ]


def kept_findings(kept: Sequence[str]) -> list[str]:
    """One line if forward assigned values of the timestep to attributes of these names."""
    if not kept:
        return []
    names = ", ".join(f"self.{name}" for name in kept)
    return [
        f"forward assigns {names}, which would stay for the next timestep: a state is an argument"
        " of forward, `forward(self, x, mem=None)`, and returned, or the neuron keeps it itself"
        " (init_hidden=True)."
    ]


def neuron_findings(network: nn.Module, node: fx.Node, kept: Sequence[str]) -> list[str]:
    """What is wrong with the state of a neuron, and with what becomes of what it returns.

    Args:
        network: that was traced.
        node: of its graph; one that is no neuron has no findings.
        kept: attributes that forward assigns, of which `kept_findings` tells.
    """
    neuron = neuron_of(network, node)
    if neuron is None:
        return []
    returns_states = neuron.output or not neuron.init_hidden
    unpacked = f"`spk, {', '.join(neuron.states)} = ...`"
    findings = []
    if any(_is_computed(network, state, kept) for state in node.all_input_nodes[1:]):
        findings.append(
            f"the state of neuron '{node.target}'{at(node)} is computed in the timestep: {_STATE}."
        )
    for user in node.users:
        place = f"neuron '{node.target}'{at(user)}"
        is_item = user.target is operator.getitem
        if is_item and not returns_states:
            findings.append(
                f"{place} is indexed or unpacked, but keeps its own state (init_hidden=True) and"
                " returns spikes alone."
            )
        elif is_item and user.args[1] not in range(1 + len(neuron.states)):
            findings.append(f"{place} returns {1 + len(neuron.states)} values: write {unpacked}.")
        elif is_item and user.args[1] != 0 and any(u.op != "output" for u in user.users):
            findings.append(
                f"the state of {place} is used inside the timestep: only spikes may be passed"
                " on; return the state or drop it."
            )
        elif returns_states and not is_item and user.op != "output":
            findings.append(
                f"{place} returns spikes and its state: write {unpacked}, or build it with"
                " init_hidden=True."
            )
    return findings


def _is_computed(network: nn.Module, state: fx.Node, kept: Sequence[str]) -> bool:
    """Whether a state is neither an argument of forward nor what a neuron returned."""
    if state.op == "placeholder" or (state.op == "get_attr" and state.target in kept):
        return False
    return not state.all_input_nodes or neuron_of(network, state.all_input_nodes[0]) is None


def output_findings(network: nn.Module, node: fx.Node) -> list[str]:
    """One line if the first thing that forward returns cannot be the output of the network.

    Args:
        network: that was traced.
        node: the output of its graph.
    """
    found = first_of(node.args[0])
    if isinstance(found, fx.Node):
        what = _state_name(network, found)
        if what is None:
            return []
    elif isinstance(found, dict):
        what = f"a dict ({', '.join(repr(key) for key in found)})"
    else:
        what = repr(found) if found is None else f"of the type {type(found).__name__}"
    return [
        f"the first thing that forward returns is {what}, expected a tensor: logits, spikes or the"
        " membrane of a neuron; write `return spk, mem`, states may follow."
    ]


def membrane_read(network: nn.Module, graph: fx.Graph) -> str | None:
    """Name of the neuron whose membrane is the first thing that forward returns, if one is."""
    (output,) = (node for node in graph.nodes if node.op == "output")
    found = first_of(output.args[0])
    if not isinstance(found, fx.Node) or found.target is not operator.getitem:
        return None
    neuron = neuron_of(network, found.args[0])
    if neuron is None or found.args[1] != len(neuron.states):
        return None
    return str(found.args[0].target)  # type: ignore[union-attr]


def first_of(output: Any) -> Any:
    """The first thing of what forward returns, out of however many tuples."""
    while isinstance(output, tuple | list) and output:
        output = output[0]
    return output


def _state_name(network: nn.Module, node: fx.Node) -> str | None:
    """What a returned value is, where it is a state that nothing is read out from."""
    if node.op == "placeholder" and node.prev.op != "root":
        return f"the argument '{node.target}' as it came"
    neuron = neuron_of(network, node.args[0]) if node.target is operator.getitem else None
    if neuron is None or node.args[1] in (0, len(neuron.states)):
        return None
    return f"the current of the synapse of neuron '{node.args[0].target}'"  # type: ignore[union-attr]
