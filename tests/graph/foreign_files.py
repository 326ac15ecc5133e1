"""NIR files written with h5py alone, as any program might: what is given is what is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.graph.graphs import DT

Fields = Mapping[str, Any]
LIF = {"type": "LIF", "tau": [2 * DT] * 2, "r": [2.0] * 2, "v_leak": [0.0] * 2}
LIF |= {"v_threshold": [0.7] * 2, "v_reset": [0.0] * 2}
AFFINE = {"type": "Affine", "weight": [[1.0, 0.5], [0.2, 1.0]], "bias": [0.1, 0.2]}
INPUT, OUTPUT = ({"type": kind, "shape": [2]} for kind in ("Input", "Output"))
CHAIN = [("input", "fc"), ("fc", "n"), ("n", "output")]


def write_file(
    path: Path,
    nodes: Mapping[str, Fields] | None = None,
    edges: Sequence[tuple[str, str]] | Any = CHAIN,
    **changes: Any,
) -> Path:
    """input -> fc (Affine) -> n (LIF) -> output, with nodes or edges replaced.

    A field of None is not written; a mapping is a group; `changes` are fields of n.
    """
    neuron = {key: value for key, value in {**LIF, **changes}.items() if value is not None}
    stored = {"input": INPUT, "fc": AFFINE, "n": neuron, "output": OUTPUT, **(nodes or {})}
    with h5py.File(path, "w") as file:
        file["version"] = "0.2"
        top: dict[str, Any] = {"type": "NIRGraph", "nodes": stored}
        if edges is not None:
            top["edges"] = edges
        _put(file.create_group("node"), top)
    return path


def _put(group: h5py.Group, content: Mapping[str, Any]) -> None:
    for name, value in content.items():
        if value is None:
            continue
        if isinstance(value, Mapping):
            _put(group.create_group(name), value)
        elif name == "edges" and not isinstance(value, np.ndarray):
            names = np.array([list(edge) for edge in value], dtype=object).reshape(-1, 2)
            group.create_dataset(name, data=names, dtype=h5py.string_dtype())
        else:
            group[name] = value
