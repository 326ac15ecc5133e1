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
from .kinds import NEURON_ARRAYS, SUPPORTED
from .metadata import KEY, OWN_TIME_CONSTANTS, known_timestep, read_metadata

# What nir's constructors raise on parameters that do not fit together.
_MALFORMED = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


def read_graph(path: str | Path) -> nir.NIRGraph:
    """Read a NIR graph and check it as `check_graph` does.

    Files of nir 1.0.4, which have no v_reset, load; v_reset is zero then. A neuron parameter with a
    single value holds for all neurons. `nir`'s own type check
    is not used, because it refuses grouped convolutions and kernels that are not square. Where the
    graph's metadata states a timestep "dt" (in seconds), time constants and delays must fit it,
    unless the file is written for a reader that reads them otherwise.

    Raises:
        GraphError: if the file cannot be read, is not a NIR graph or the graph does not make sense;
            with all findings.
    """
    findings: list[str] = []
    graph = _build(read_group(path, "node"), "", findings)
    if graph is not None and not isinstance(graph, nir.NIRGraph):
        findings.append(f"it holds a single {type(graph).__name__} node, expected a NIRGraph")
    if graph is not None and not findings:
        reader = None
        try:
            metadata = read_metadata(graph)
            reader = None if metadata is None else metadata.reader
        except GraphError as error:
            attempt = f"cannot read the metadata {KEY!r} of the graph"
            told = [f"{attempt}: {finding}" for finding in error.findings]
            findings += told or [str(error)]
        dt = None if reader in OWN_TIME_CONSTANTS else known_timestep(graph)
        findings[:0] = find_faults(graph, dt)
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
    known = len(findings)
    where = f"{where} ({kind})"
    if not isinstance(content.get("metadata", {}), dict):
        findings.append(f"metadata of {where} is no group")
    required, optional = _fields(kind)
    findings += [f"{where} has no {field}" for field in sorted(required - content.keys())]
    findings += [
        f"{where} has the unknown field {field!r}"
        for field in sorted(content.keys() - required - optional)
    ]
    if kind == "NIRGraph":
        arguments = {**content, **_graph_parts(content, name, where, findings)}
    else:
        arguments = {**{field: None for field in ("input_shape",) if field in optional}, **content}
        for field in sorted((required | optional) & content.keys() - {"type", "metadata"}):
            if not _is_number(content[field], or_text=field == "padding"):
                findings.append(f"{field} of {where} is {_show(content[field])}, expected numbers")
        if len(findings) == known:
            arguments |= _one_shape(kind, arguments, where, findings)
    if len(findings) > known:
        return None
    try:
        if kind == "NIRGraph":
            del arguments["type"]
            return nir.NIRGraph(**arguments, type_check=False)
        return getattr(nir, kind).from_dict(arguments)
    except _MALFORMED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        findings.append(f"{where} is malformed: {reason}")
        return None


def _one_shape(
    kind: str, arguments: Tree, where: str, findings: list[str]
) -> dict[str, np.ndarray[Any, Any]]:
    """Return the parameters of neurons, single values repeated where others are arrays."""
    arrays = {
        field: np.asarray(arguments[field])
        for field in NEURON_ARRAYS.get(kind, ())
        if field in arguments
    }
    several = {array.shape for array in arrays.values() if array.size != 1}
    if len(several) > 1:
        shapes = ", ".join(f"{field} {array.shape}" for field, array in arrays.items())
        findings.append(f"{where} is malformed: its parameters differ in shape: {shapes}")
        return {}
    sizes = {array.shape for array in arrays.values()}
    if len(sizes) < 2:
        return {}
    shape = several.pop() if several else max(sizes, key=len)
    return {
        field: np.full(shape, array.item()) if array.size == 1 else array
        for field, array in arrays.items()
    }


def _fields(kind: str) -> tuple[set[str], set[str]]:
    """Return the fields that a node of this kind must, and those that it may, have in a file."""
    own = {item.name: item for item in fields(getattr(nir, kind)) if item.init}
    stored = {"input_type": "shape", "output_type": "shape"} if kind in ("Input", "Output") else {}
    optional = {
        "metadata",
        *(name for name, item in own.items() if item.default is not MISSING),
        *({"input_shape", "input_type"} & own.keys() - stored.keys()),
    } - {"start_dim", "end_dim"}
    required = {"type", *(stored.get(name, name) for name in own.keys() - optional)}
    return required, optional


def _graph_parts(
    content: Tree, name: str, where: str, findings: list[str]
) -> dict[str, dict[str, nir.NIRNode] | list[tuple[str, str]]]:
    """Build what a graph consists of."""
    nodes: dict[str, nir.NIRNode] = {}
    stored = content.get("nodes", {})
    if not isinstance(stored, dict):
        findings.append(f"nodes of {where} is no group")
        stored = {}
    for key, part in stored.items():
        full = f"{name}.{key}" if name else key
        if isinstance(part, dict):
            nodes[key] = _build(part, full, findings)
        else:
            findings.append(f"node {full!r} is no group")
    edges = np.asarray(content.get("edges", ()))
    if edges.size == 0:
        return {"nodes": nodes, "edges": []}
    try:
        if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "OSU":
            raise TypeError(f"they have shape {edges.shape} and type {edges.dtype}")
        pairs = [(_text(source), _text(target)) for source, target in edges.tolist()]
    except (TypeError, UnicodeDecodeError) as error:
        findings.append(f"edges of {where} are no list of pairs of node names: {error}")
        pairs = []
    return {"nodes": nodes, "edges": pairs}


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, str):
        return value
    raise TypeError(f"{_show(value)} is no text")


def _is_number(value: Any, *, or_text: bool) -> bool:
    if isinstance(value, str):
        return or_text
    return isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf"


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return "a group"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and type {value.dtype}"
    return repr(value)
