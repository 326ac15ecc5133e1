"""The code that loads an exported file in its reader and runs it, to be pasted as it stands."""

from __future__ import annotations

import json
from pathlib import Path

from .foldings.flow import Flow, Shape
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
    flow = Flow.of(export.graph, export.dt)
    (first,), (last,) = flow.flat.inputs, flow.flat.outputs
    shape, outputs = _axes(timesteps, flow.shapes[first]), _axes(timesteps, flow.shapes[last])
    made = "torch.rand({})" if "import torch\n" in reader.load else "np.float32(np.random.rand({}))"
    values = {
        "path": _quoted(path),
        "folder": _quoted(path.parent),
        "dt": export.dt,
        "samples": SAMPLES,
        "late": reader.late(flow),
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


def _axes(timesteps: int, features: Shape) -> str:
    return ", ".join(str(n) for n in (timesteps, SAMPLES, *features))
