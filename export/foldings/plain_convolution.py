"""Grouped and oblong convolutions of any file in the form whose shapes NIR 1.0.8 infers right.

The rule is that of `square_convolution`, on nodes of NIR, which say what they hold as there.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from mpo_snn.errors import ExportError
from mpo_snn.export.square_convolution import ODD_AND_EVEN
from mpo_snn.graph.connections import written_out, written_out_of
from mpo_snn.graph.geometry import convolution_window
from mpo_snn.graph.plain_kernel import centred, ungrouped

from .flow import Flow, with_fields

CONVOLUTIONS = ("Conv1d", "Conv2d")
UNLIKE_PADDING = (
    "its padding adds another number of zeros before than behind, which no kernel in the middle of"
    " a square one can; make both sides odd."
)


def write_plain_convolutions(flow: Flow) -> Flow:
    """The flow with dense, square convolutions; the same flow where all are.

    Raises:
        ExportError: naming every kernel that cannot be centred in a square one.
    """
    findings = []
    for name in flow.named(*CONVOLUTIONS):
        node, folds = _dense(flow.nodes[name]), []
        if node is not flow.nodes[name]:
            folds.append(f"groups of '{name}' into zero blocks")
        kernel = node.weight.shape[2:]
        square = _square(node)
        if square is None:
            reason = ODD_AND_EVEN if _pads_alike(node) else UNLIKE_PADDING
            findings.append(f"'{name}' has kernel {kernel}: {reason}")
            continue
        if square is not node:
            folds.append(f"kernel {kernel} of '{name}' into {max(kernel)}x{max(kernel)}")
        if square is not flow.nodes[name] and not written_out_of(square):
            groups = convolution_window(flow.nodes[name]).groups
            square.metadata.update(written_out(groups, kernel))
        flow = flow.with_node(name, square).noting(*folds)
    if findings:
        raise ExportError("cannot export to NIR", findings)
    return flow


def _dense(node: Any) -> nir.NIRNode:
    """A convolution with one group."""
    groups = convolution_window(node).groups
    if groups == 1:
        return node
    return with_fields(node, weight=ungrouped(np.asarray(node.weight), groups), groups=1)


def _square(node: Any) -> nir.NIRNode | None:
    """A convolution with a square kernel; None if its own cannot be centred in one."""
    window = convolution_window(node)
    if len(set(window.kernel)) == 1:
        return node
    if not _pads_alike(node):
        return None
    padding = tuple(before for before, _ in window.zeros())
    found = centred(np.asarray(node.weight), padding, window.dilation)
    return None if found is None else with_fields(node, weight=found[0], padding=found[1])


def _pads_alike(node: Any) -> bool:
    """Whether there are as many zeros before the input as behind, on each axis."""
    return all(before == behind for before, behind in convolution_window(node).zeros())
