"""Folds batchnorm into the convolution or dense layer in front of it.

`W' = g W`, `b' = g b + shift`, with `g = bn.weight / sqrt(var + eps)` and
`shift = bn.bias - g mean` per output channel; everything else stays. Assumes eval mode and a
convolution or dense layer directly in front that feeds nothing else.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mpo_snn.errors import ExportError

from .draft import BatchNorm, Convolution, Dense, Draft


def fold_batchnorm(draft: Draft) -> Draft:
    """The draft without batchnorm; the argument is not modified.

    Raises:
        ExportError: naming every batchnorm that has no layer to go into.
    """
    findings = []
    for name, node in list(draft.nodes.items()):
        if not isinstance(node, BatchNorm):
            continue
        (source,) = draft.sources(name)
        before = draft.nodes[source]
        if not isinstance(before, Convolution | Dense):
            findings.append(
                f"cannot fold batchnorm '{name}': its input comes from {type(before).__name__}"
                f" '{source}', expected a Conv or Linear directly in front."
            )
        elif len(draft.targets(source)) > 1:
            findings.append(
                f"cannot fold batchnorm '{name}': '{source}' also feeds"
                f" {', '.join(repr(t) for t in draft.targets(source) if t != name)}, which must"
                " not see the batchnorm."
            )
        else:
            draft = _fold(draft, source, name, node, before)
    if findings:
        raise ExportError("cannot export to NIR, which has no batchnorm", findings)
    return draft


def _fold(
    draft: Draft, source: str, name: str, norm: BatchNorm, before: Convolution | Dense
) -> Draft:
    gain = norm.scale.reshape(-1, *[1] * (before.weight.ndim - 1))
    bias = np.zeros_like(norm.shift) if before.bias is None else before.bias
    folded = replace(before, weight=before.weight * gain, bias=bias * norm.scale + norm.shift)
    draft = draft.without(name)
    return draft.with_changes(
        {**draft.nodes, source: folded}, folds=[f"batchnorm '{name}' into '{source}'"]
    )
