"""Writes convolutions in the form whose shapes NIR 1.0.8 infers right: dense and square.

NIR's own inference ignores `groups` and looks at the kernel's height alone. A grouped convolution
becomes a dense one with zero blocks; a kernel (kh, kw) is set in the middle of a square one of
zeros, with padding grown by half the difference times the dilation. Sums of products are the same.
The node says which layer it holds, so that nobody counts the zeros (`mpo_snn.graph.connections`).
"""

from __future__ import annotations

from dataclasses import replace

from mpo_snn.errors import ExportError
from mpo_snn.graph.plain_kernel import centred, ungrouped

from .draft import Convolution, Draft

ODD_AND_EVEN = (
    "NIR 1.0.8 takes square kernels, and this one cannot be centred in a square; make both sides"
    " odd or both even."
)


def square_convolutions(draft: Draft) -> Draft:
    """The draft with ungrouped, square convolutions; the argument is not modified.

    Raises:
        ExportError: naming every kernel that cannot be centred in a square one.
    """
    nodes, folds, findings = dict(draft.nodes), [], []
    for name, node in draft.nodes.items():
        if not isinstance(node, Convolution):
            continue
        layer = (node.groups, *node.weight.shape[2:])
        if node.groups > 1:
            node = replace(node, weight=ungrouped(node.weight, node.groups), groups=1)
            folds.append(f"groups of '{name}' into zero blocks")
        kernel = node.weight.shape[2:]
        found = centred(node.weight, node.padding, node.dilation)
        if found is None:
            findings.append(f"layer '{name}' has kernel {kernel}: {ODD_AND_EVEN}")
        elif found[0] is not node.weight:
            node = replace(node, weight=found[0], padding=found[1])
            folds.append(f"kernel {kernel} of '{name}' into {max(kernel)}x{max(kernel)}")
        is_larger = node.weight.shape[2:] != layer[1:] or layer[0] != node.groups
        nodes[name] = replace(node, layer=layer) if is_larger else node
    if findings:
        raise ExportError("cannot export to NIR", findings)
    return draft.with_changes(nodes, folds=folds)
