"""The plainest NIR: for programs that run what NIR states."""

from __future__ import annotations

from .reader import Reader

PLAIN = Reader(
    name="nir",
    title="plain NIR",
    nir_version="1.0.8",
    dt=None,
    folds=(),
    dialect=(),
    structure=lambda flow: [],
    as_read=lambda flow: flow,
    load="import nir\ngraph = nir.read({path})",
    run="",
)
