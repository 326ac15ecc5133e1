"""Evaluation of NIR graphs: accuracy, spike density, exact operation counts, energy, reports.

Works on any graph that the core can simulate, ours or foreign, and never on the torch network. The
public names are loaded when they are first used, so that importing the package is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .evaluate import Evaluation as Evaluation
    from .evaluate import evaluate_graph as evaluate_graph
    from .report import build_report as build_report
    from .setting import Setting as Setting
    from .setting import resolve_setting as resolve_setting
    from .write import write_report as write_report

_HOME = {
    "Evaluation": "evaluate",
    "Setting": "setting",
    "build_report": "report",
    "evaluate_graph": "evaluate",
    "resolve_setting": "setting",
    "write_report": "write",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mpo_snn.evaluation' has no attribute '{name}'")
    return getattr(importlib.import_module(f"mpo_snn.evaluation.{_HOME[name]}"), name)
