"""The plainest NIR: for programs that run what NIR states."""

from __future__ import annotations

from mpo_snn.export.foldings.flow import Flow

from .finding import Finding
from .reader import Reader


def _structure(flow: Flow) -> list[Finding]:
    return []


def _as_read(flow: Flow) -> Flow:
    return flow


PLAIN = Reader(
    name="nir",
    title="plain NIR",
    nir_version="1.0.8",
    dt=None,
    folds=(),
    dialect=(),
    structure=_structure,
    as_read=_as_read,
    load="import nir\ngraph = nir.read({path})",
    run="",
)
