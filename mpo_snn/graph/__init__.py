"""NIR graphs: safe reading, checking, metadata, order of evaluation and simulation.

The public names are loaded when they are first used, so that importing the package is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .check import check_graph as check_graph
    from .check import check_timestep as check_timestep
    from .inline import FlatGraph as FlatGraph
    from .metadata import GraphMetadata as GraphMetadata
    from .metadata import read_metadata as read_metadata
    from .metadata import write_metadata as write_metadata
    from .order import Schedule as Schedule
    from .order import schedule as schedule
    from .read import read_graph as read_graph
    from .simulate import Simulation as Simulation
    from .simulate import Simulator as Simulator

_HOME = {
    "FlatGraph": "inline",
    "GraphMetadata": "metadata",
    "Schedule": "order",
    "Simulation": "simulate",
    "Simulator": "simulate",
    "check_graph": "check",
    "check_timestep": "check",
    "read_graph": "read",
    "read_metadata": "metadata",
    "schedule": "order",
    "write_metadata": "metadata",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mpo_snn.graph' has no attribute '{name}'")
    return getattr(importlib.import_module(f"mpo_snn.graph.{_HOME[name]}"), name)
