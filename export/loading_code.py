"""The code that loads an exported file in its reader and runs it, to be pasted as it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from .foldings.flow import Flow
from .for_reader import ReaderExport
from .readers import Reader

SAMPLES = 2
"""Of the random input that stands in the user's place."""


def loading_code(export: ReaderExport, path: Path, timesteps: int) -> dict[str, str]:
    """A block of Python for each reader of a file, by its title; none for plain NIR.

    Args:
        export: what was written.
        path: where to.
        timesteps: of one inference.
    """
    readers = [r for r in export.reader.members or (export.reader,) if r.run]
    return {reader.title: _block(reader, export, path, timesteps) for reader in readers}


def _block(reader: Reader, export: ReaderExport, path: Path, timesteps: int) -> str:
    nodes = export.graph.nodes
    shape = _axes(timesteps, nodes["input"].input_type["input"])
    outputs = _axes(timesteps, nodes["output"].output_type["output"])
    made = "torch.rand({})" if "import torch\n" in reader.load else "np.float32(np.random.rand({}))"
    values = {
        "path": _quoted(path),
        "folder": _quoted(path.parent),
        "dt": export.dt,
        "samples": SAMPLES,
        "late": reader.late(Flow.of(export.graph, export.dt)),
    }
    parts = (
        reader.load.format(**values),
        export.after,
        f"x = {made.format(shape)}  # your input: (timesteps, samples, ...)",
        reader.run.format(**values),
    )
    return "\n\n".join(part for part in parts if part) + f"  # ({outputs})"


def _quoted(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)


def _axes(timesteps: int, features: Any) -> str:
    return ", ".join(str(int(n)) for n in (timesteps, SAMPLES, *np.ravel(features)))
