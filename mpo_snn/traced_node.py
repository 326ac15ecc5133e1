"""What stands behind a node of a traced network: its layer, its neuron, its line of code."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import snntorch
import torch
from torch import fx, nn

from mpo_snn.neurons import MPONeuron

_FRAME = re.compile(r'File "(?P<file>.+)", line (?P<line>\d+), in ')
_LIBRARIES = tuple(module.__path__[0] for module in (torch, snntorch))
_HERE = str(Path(__file__).parent)


def layer_of(network: nn.Module, node: fx.Node) -> nn.Module:
    """The module behind a `call_module` node."""
    return network.get_submodule(str(node.target))


def neuron_of(network: nn.Module, node: Any) -> MPONeuron | None:
    """The MPO neuron behind a node, if it is one."""
    if not isinstance(node, fx.Node) or node.op != "call_module":
        return None
    layer = layer_of(network, node)
    return layer if isinstance(layer, MPONeuron) else None


def is_state_of(network: nn.Module, node: fx.Node, user: fx.Node) -> bool:
    """Whether a node is a neuron that takes a value as its state."""
    return neuron_of(network, user) is not None and node is not user.args[0]


def at(node: fx.Node) -> str:
    """` (file:line)` of the network's code that made the node, if it is known."""
    return _last_place(_FRAME.findall(node.stack_trace or ""))


def stack_within(caller: Callable[..., Any]) -> str:
    """What `caller` called that is still running, outermost first: `File "x", line 1, in f` each.

    Args:
        caller: a function that runs; all of the stack where it does not.
    """
    lines = []
    for frame, line in traceback.walk_stack(sys._getframe(1)):
        if frame.f_code is caller.__code__:
            break
        lines.append(f'File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}')
    return "\n".join(reversed(lines))


def raised_at(error: Exception) -> str:
    """` (file:line)` of the network's code in which it was raised, if it is known."""
    frames = traceback.extract_tb(error.__traceback__)
    return _last_place([(frame.filename, str(frame.lineno)) for frame in frames])


def _last_place(frames: list[tuple[str, str]]) -> str:
    own = [
        (file, line)
        for file, line in frames
        if not file.startswith(_LIBRARIES) and Path(file).parent != Path(_HERE)
    ]
    return f" ({own[-1][0]}:{own[-1][1]})" if own else ""
