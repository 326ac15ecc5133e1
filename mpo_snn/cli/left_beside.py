"""What commands leave beside a graph is named after its file.

Two graphs in one folder would overwrite each other's reports and deployments otherwise.
"""

from __future__ import annotations

from pathlib import Path

MODEL = "model.nir"
"""The graph of a run directory, whose `report.json` and `deploy-TARGET` go without a prefix."""


def prefix_of(graph: str | Path) -> str:
    """`own.` for `own.nir`; nothing for `model.nir`, or for a run directory as a whole."""
    path = Path(graph)
    return "" if path.is_dir() or path.name == MODEL else f"{path.stem}."
