"""Whether a NIR graph makes sense, with everything told that does not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import networkx as nx
import nir
import numpy as np

from mpo_snn.errors import GraphError

from .inline import FlatGraph, expand
from .kinds import SUPPORTED, TIME_CONSTANTS, kind_of
from .loops import describe_cycle, stateless_cycles
from .neurons import delay_steps
from .parameters import declaration_faults, node_faults
from .shapes import infer_shapes, leading_ones

TAU_TOLERANCE = 1e-6
"""How far below dt a time constant may lie, relative to dt: one stored in float32 may."""

_MOST_STEPS = 1e100
"""Steps that a time constant may take: beyond, gains and thresholds in its units overflow."""


def check_graph(graph: nir.NIRGraph, dt: float | None = None) -> None:
    """Check that a graph can be simulated; with `dt` in seconds also that it fits this step.

    Raises:
        GraphError: with every finding: nodes of an unknown kind, edges to missing nodes and edges
            that stand twice, nodes without a way from the Input or to the Output, not exactly one
            Input and one Output, parameters that are missing, no finite numbers or of a wrong
            shape, time constants and delays out of range, shapes that differ at the two ends of
            an edge, loops without a node with state.
    """
    findings = find_faults(graph, dt)
    if findings:
        raise GraphError("the graph cannot be used", findings)


def check_timestep(graph: nir.NIRGraph, dt: float) -> None:
    """Check that all time constants are at least `dt` and all delays whole numbers of it.

    Raises:
        GraphError: with every finding.
    """
    findings = _timestep_faults(graph, dt)
    if findings:
        raise GraphError("the graph does not fit the timestep", findings)


def find_faults(graph: nir.NIRGraph, dt: float | None = None) -> list[str]:
    """Return what `check_graph` would raise, one line each."""
    broken = _no_graph(graph)
    if broken:
        return broken
    unknown = _unknown_kinds(graph)
    wiring = _wiring_faults(graph, "")
    findings = [*unknown, *wiring, *_repeated_edges(graph, "")]
    for name, node in _all_nodes(graph):
        findings += node_faults(name, node)
    if dt is not None:
        findings += _timestep_faults(graph, dt)
    if wiring or any(declaration_faults(node) for _, node in _all_nodes(graph)):
        return findings  # what follows would only repeat it in other words
    try:
        flat = expand(graph)
    except GraphError as error:
        return [*findings, str(error)]
    findings += _connection_faults(flat)
    findings += leading_ones(flat) or infer_shapes(flat).findings
    if not unknown:
        findings += [describe_cycle(cycle) for cycle in stateless_cycles(flat)]
    return findings


def _no_graph(graph: nir.NIRGraph) -> list[str]:
    """What keeps an object from being read as a graph at all."""
    parts = (("nodes", Mapping), ("edges", Collection), ("metadata", Mapping))
    return [
        f"{name} of the graph: found {getattr(graph, name, None)!r}, expected a {kind.__name__}"
        for name, kind in parts
        if not isinstance(getattr(graph, name, None), kind)
    ]


def _all_nodes(graph: nir.NIRGraph, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, node in graph.nodes.items():
        yield f"{prefix}{name}", node
        if kind_of(node) == "NIRGraph":
            yield from _all_nodes(node, f"{prefix}{name}.")


def _unknown_kinds(graph: nir.NIRGraph) -> list[str]:
    unknown = [(name, kind_of(node)) for name, node in _all_nodes(graph)]
    return [
        f"node {name!r} is of the unknown kind {kind}; supported: {', '.join(SUPPORTED)}"
        for name, kind in unknown
        if kind not in SUPPORTED
    ]


def _wiring_faults(graph: nir.NIRGraph, prefix: str) -> list[str]:
    """Find wrong edges and borders, in the graph and in its subgraphs."""
    findings = []
    for kind in ("Input", "Output"):
        names = [prefix + name for name, node in graph.nodes.items() if kind_of(node) == kind]
        if len(names) != 1:
            where = f"subgraph {prefix[:-1]!r}" if prefix else "the graph"
            found = f"{len(names)} ({', '.join(map(repr, names))})" if names else "none"
            findings.append(f"{where} must have exactly one {kind}, found {found}")
    for edge in graph.edges:
        ends = tuple(edge) if isinstance(edge, tuple | list) else ()
        if len(ends) != 2 or not all(isinstance(end, str) for end in ends):
            findings.append(f"edge {edge!r} is no pair of node names")
            continue
        full = f"edge ({prefix + ends[0]!r}, {prefix + ends[1]!r})"
        missing = [end for end in dict.fromkeys(ends) if end not in graph.nodes]
        if missing:
            strangers = " and ".join(repr(prefix + end) for end in missing)
            findings.append(f"{full} names {strangers}, which is not in the graph")
        elif kind_of(graph.nodes[ends[1]]) == "Input":
            findings.append(f"{full} leads into an Input")
        elif kind_of(graph.nodes[ends[0]]) == "Output":
            findings.append(f"{full} leads out of an Output")
    for name, node in graph.nodes.items():
        if kind_of(node) == "NIRGraph":
            findings += _wiring_faults(node, f"{prefix}{name}.")
    return findings


def _repeated_edges(graph: nir.NIRGraph, prefix: str) -> list[str]:
    repeated = Counter(
        tuple(edge) for edge in graph.edges if isinstance(edge, tuple | list) and len(edge) == 2
    )
    findings = [
        f"edge ({prefix + source!r}, {prefix + target!r}) stands {times} times, expected once"
        for (source, target), times in repeated.items()
        if times > 1
    ]
    for name, node in graph.nodes.items():
        if kind_of(node) == "NIRGraph":
            findings += _repeated_edges(node, f"{prefix}{name}.")
    return findings


def _connection_faults(flat: FlatGraph) -> list[str]:
    graph = nx.DiGraph()
    graph.add_nodes_from(flat.nodes)
    graph.add_edges_from(flat.edges)
    (start,), (end,) = flat.inputs, flat.outputs
    reached = nx.descendants(graph, start) | {start}
    leading = nx.ancestors(graph, end) | {end}
    findings = []
    for name, node in flat.nodes.items():
        faults = []
        if name not in reached:
            faults.append(f"is not reached from the Input {start!r}")
        if name not in leading:
            faults.append(f"does not lead to the Output {end!r}")
        if faults:
            findings.append(f"missing edge: {name!r} ({kind_of(node)}) {' and '.join(faults)}")
    return findings


def _timestep_faults(graph: nir.NIRGraph, dt: float) -> list[str]:
    if not (isinstance(dt, (int, float, np.number)) and math.isfinite(dt) and dt > 0):
        return [f"dt is {dt!r}, expected a positive number of seconds"]
    findings = []
    for name, node in _all_nodes(graph):
        if node_faults(name, node):
            continue  # what is not even a time cannot be compared with dt
        kind = kind_of(node)
        for field in TIME_CONSTANTS.get(kind, ()):
            tau = np.asarray(getattr(node, field))
            short = tau < dt * (1 - TAU_TOLERANCE)
            if short.any():
                findings.append(
                    f"{field} of {name!r} ({kind}) is {tau[short].min():g} s, shorter than "
                    f"dt = {dt:g} s ({short.sum()} of {tau.size} values); "
                    f"an Euler step needs {field} >= dt: give the dt that the file was made for,"
                    f" of {tau[short].min():g} s or less, or raise {field}; with another dt the"
                    " same file leaks another share in a step"
                )
            elif not float(tau.max(initial=0.0)) <= dt * _MOST_STEPS:
                findings.append(
                    f"{field} of {name!r} ({kind}) is {tau.max():g} s, more than {_MOST_STEPS:g}"
                    f" times dt = {dt:g} s, which is out of float64's reach"
                )
        if kind == "Delay":
            try:
                delay_steps(node, dt)
            except GraphError as error:
                findings.append(f"{error} in {name!r} (Delay)")
    return findings
