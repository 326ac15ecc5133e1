"""Reading a NIR file safely: the whole graph, or everything that is wrong with it."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import nir
import numpy as np

from mpo_snn.errors import GraphError

from .check import find_faults
from .hdf5 import Tree, read_group
from .kinds import SUPPORTED
from .metadata import known_timestep, read_metadata


def read_graph(path: str | Path) -> nir.NIRGraph:
    """Read a NIR graph and check it as `check_graph` does.

    Files of nir 1.0.4, which have no v_reset, load; v_reset is zero then. `nir`'s own type check
    is not used, because it refuses grouped convolutions and kernels that are not square. Where the
    graph's metadata states a timestep "dt" (in seconds), time constants and delays must fit it.

    Raises:
        GraphError: if the file cannot be read, is not a NIR graph or the graph does not make sense;
            with all findings.
    """
    findings: list[str] = []
    graph = _build(read_group(path, "node"), "", findings)
    if graph is not None and not isinstance(graph, nir.NIRGraph):
        findings.append(f"it holds a single {type(graph).__name__} node, expected a NIRGraph")
    if graph is not None and not findings:
        findings += find_faults(graph, known_timestep(graph))
        try:
            read_metadata(graph)
        except GraphError as error:
            findings.append(str(error).replace("\n", " "))
    if findings:
        raise GraphError(f"cannot read '{path}'", findings)
    return graph


def _build(content: Tree, name: str, findings: list[str]) -> nir.NIRNode | None:
    """Return the node that the content of an HDF5 group describes, or add to the findings."""
    where = f"node {name!r}" if name else "the graph"
    kind = content.get("type")
    if kind is None:
        findings.append(f"{where} has no type")
        return None
    if not isinstance(kind, str):
        findings.append(f"{where} has the type {_show(kind)}, expected text")
        return None
    if kind not in SUPPORTED:
        findings.append(f"{where} is of the unknown kind {kind}; supported: {', '.join(SUPPORTED)}")
        return None
    where = f"{where} ({kind})"
    known = len(findings)
    arguments = {key: value for key, value in content.items() if key != "type"}
    if not isinstance(arguments.get("metadata", {}), dict):
        findings.append(f"metadata of {where} is no group")
    if kind == "NIRGraph":
        return _build_graph(arguments, name, where, findings)
    required, optional = _fields(kind)
    missing = sorted(required - arguments.keys())
    unknown = sorted(arguments.keys() - required - optional)
    findings += [f"{where} has no {field}" for field in missing]
    findings += [f"{where} has the unknown field {field!r}" for field in unknown]
    for field in sorted((required | optional) & arguments.keys() - {"metadata"}):
        if not _is_number(arguments[field]) and not (
            field == "padding" and isinstance(arguments[field], str)
        ):
            findings.append(f"{field} of {where} is {_show(arguments[field])}, expected numbers")
    if len(findings) > known:
        return None
    try:
        arguments.setdefault("input_shape", None) if kind in ("Conv1d", "Conv2d") else None
        return getattr(nir, kind).from_dict({**arguments, "type": kind})
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError) as error:
        findings.append(f"{where} is malformed: {_one_line(error)}")
    except ValueError as error:
        findings.append(f"{where} is malformed: {_one_line(error)}")
    return None
