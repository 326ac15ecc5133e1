"""A network's graph in the form that is exact in one reader, and back to what such a file means."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import nir
import numpy as np
import torch
from torch import Tensor

from mpo_snn.errors import ExportError
from mpo_snn.graph.metadata import GraphMetadata, read_metadata

from .foldings.above_threshold import raise_thresholds
from .foldings.flow import Flow, Timing
from .nir_export import DEFAULT_DT, Export
from .readers import READERS, Reader
from .threshold_rounding import ThresholdRounding, is_float32

SAME_UNIT = 1e-9
"""Units that differ by less, relative to them, are the same."""
PREFERRED = ("portable", "nir")
"""What is written when no reader is named: the first that can express the network."""


@dataclass(frozen=True)
class ReaderExport(Export):
    """A network in NIR for one reader.

    Attributes:
        reader: for whom.
        dt: timestep in seconds that the graph is written for.
        after: code to run after loading; "" where none is needed.
        stands_for: when plain LIF and IF subtract the threshold, where they stand for that.
        units: layer -> what a unit of its membrane in this graph, as the reader runs it, is in the
            graph that it was made from; layers of the same unit are absent.
        rounding: what follows from thresholds that were rounded; None if none was.
    """

    reader: Reader
    dt: float
    after: str
    stands_for: Timing | None = None
    units: dict[str, Tensor] = field(default_factory=dict)
    rounding: ThresholdRounding | None = None


def reader_named(name: str) -> Reader:
    """The reader of this name.

    Raises:
        ExportError: if there is none.
    """
    if name not in READERS:
        raise ExportError(f"unknown reader '{name}': choose one of {', '.join(READERS)}.")
    return READERS[name]


def timestep_for(reader: Reader, given: float | None) -> float:
    """The timestep in seconds that a file for this reader is written for."""
    return next(dt for dt in (reader.dt, given, DEFAULT_DT) if dt is not None)


def export_for_reader(export: Export, reader: Reader, dt: float) -> ReaderExport:
    """The export in the form that is exact in a reader.

    Args:
        export: of the network, in plain NIR for `dt`.
        reader: for whom.
        dt: timestep in seconds; that of the reader where it has its own (`Reader.dt`).

    Raises:
        ExportError: with every reason why this reader cannot run the network, and the way out.
    """
    flow, meant = reader.exact(Flow.of(export.graph, dt))
    notes = export.notes if flow.stands_for is None else _without_composites(export.notes)
    after = reader.after(flow.stands_for)
    if after:
        notes = (*notes, f"exact in {reader.title} after a step behind loading.")
    return ReaderExport(
        graph=flow.graph() if reader.folds or reader.dialect else export.graph,
        spiking=export.spiking,
        folds=(*export.folds, *flow.folds),
        notes=notes,
        reader=reader,
        dt=flow.dt,
        after=after,
        stands_for=flow.stands_for,
        units=units_between(export.graph.nodes, meant.nodes, export.spiking),
        rounding=_rounding(reader, meant, export.spiking, flow.stands_for is not None),
    )


def raises_thresholds(reader: Reader) -> bool:
    """Whether files for this reader state the next float32 above each threshold."""
    return raise_thresholds in reader.dialect


def _rounding(
    reader: Reader, meant: Flow, spiking: Mapping[str, str], subtracts: bool
) -> ThresholdRounding | None:
    """What follows from the thresholds in a file for this reader, if they had to be rounded."""
    nodes = [meant.nodes[name] for name in spiking.values() if name in meant.nodes]
    if not raises_thresholds(reader) or all(is_float32(threshold_of(node)) for node in nodes):
        return None
    return ThresholdRounding(units=False, subtracts=subtracts)


def export_preferred(export: Export, dt: float) -> ReaderExport:
    """The export for the first of `PREFERRED` that can express it, with a note on the others."""
    obstacle = ""
    for name in PREFERRED:
        reader = READERS[name]
        unlike = f"not {name}, one file for {reader.title}"
        if reader.dt not in (None, dt):
            obstacle = f"{unlike}: they compute with dt {reader.dt:g} s, not {dt:g} s."
            continue
        try:
            found = export_for_reader(export, reader, dt)
        except ExportError as error:
            first, *others = error.findings
            more = f" (and {len(others)} more: --reader {name} tells all)" if others else ""
            obstacle = f"{unlike}: {first}{more}"
            continue
        return replace(found, notes=(*found.notes, obstacle)) if obstacle else found
    raise AssertionError("plain NIR takes every graph")


def meaning_of(graph: nir.NIRGraph) -> nir.NIRGraph:
    """What a file means, in NIR's own terms: as the reader that it is written for runs it.

    A graph of nobody in particular means what it says. The timestep of what is returned is
    `meant_timestep`.

    Raises:
        ExportError: if the file names a reader that is unknown here.
    """
    metadata = read_metadata(graph)
    if metadata is None or metadata.reader in (None, "nir"):
        return graph
    return read_back(graph, metadata).graph(graph.metadata)


def read_back(graph: nir.NIRGraph, metadata: GraphMetadata) -> Flow:
    """The flow that the reader named in the metadata computes, in NIR's own terms."""
    reader = reader_named(cast(str, metadata.reader))
    return reader.as_read(stated(graph, metadata))


def stated(graph: nir.NIRGraph, metadata: GraphMetadata) -> Flow:
    """The flow of a file as it stands, and what its plain LIF stand for."""
    flow = Flow.of(graph, metadata.dt)
    plain = metadata.reader not in (None, "nir") and metadata.reset == "subtract"
    if plain and not flow.named("Threshold"):
        flow = replace(flow, stands_for=cast(Timing, metadata.reset_timing))
    return flow


@dataclass(frozen=True)
class FileUnits:
    """In which units a file states its membranes.

    Attributes:
        units: layer -> what a unit of its membrane is in the plain graph; 1 if absent.
        own: whether some layer has others than the export has.
        rounding: what follows from thresholds that were rounded; None if none was.
    """

    units: dict[str, Tensor]
    own: bool
    rounding: ThresholdRounding | None


def units_of_file(
    plain: Export, export: ReaderExport | None, graph: nir.NIRGraph, metadata: GraphMetadata
) -> FileUnits:
    """The units of a file of the same network, which may have been made from any of its files.

    Where a neuron has the threshold that the export gives it, its unit is that of the export, which
    no rounding has touched; elsewhere it is the ratio of thresholds.

    Args:
        plain: the network in plain NIR.
        export: the same for the reader of the file; None if it has no form there.
        graph: of the file.
        metadata: of the file.
    """
    ours, read = plain.graph.nodes, meaning_of(graph).nodes
    stated = units_between(ours, read, metadata.spiking)
    if export is None:
        made: dict[str, Tensor] = {}
        exact, rounding = made, None
    else:
        back = read_back(export.graph, replace(metadata, reader=export.reader.name))
        made = units_between(ours, back.nodes, metadata.spiking)
        exact, rounding = export.units, export.rounding
    units, own = {}, []
    for layer, node in metadata.spiking.items():
        if node not in ours or node not in read:
            continue
        shape = threshold_of(read[node]).shape
        ratio, expected, folded = (
            _spread(found.get(layer), shape) for found in (stated, made, exact)
        )
        same = torch.isclose(ratio, expected, rtol=SAME_UNIT, atol=0.0)
        unit = torch.where(same, folded, ratio)
        if bool((unit != 1.0).any()):
            units[layer] = unit
        if not bool(same.all()):
            own.append(node)
    if own and any(is_float32(threshold_of(read[node])) for node in own):
        rounding = ThresholdRounding(units=True, subtracts=metadata.reset == "subtract")
    return FileUnits(units, bool(own), rounding)


def _spread(units: Tensor | None, shape: tuple[int, ...]) -> Tensor:
    """Units of a layer on the axes of a file; 1 where it has another number of neurons."""
    if units is None or units.numel() not in (1, math.prod(shape)):
        return torch.ones(shape, dtype=torch.float64)
    return units.reshape(()).expand(shape) if units.numel() == 1 else units.reshape(shape)


def units_between(
    ours: Mapping[str, nir.NIRNode], theirs: Mapping[str, nir.NIRNode], spiking: Mapping[str, str]
) -> dict[str, Tensor]:
    """What a unit of each layer's membrane in their nodes is in ours: the ratio of thresholds.

    A threshold of 0 says nothing of units.

    Args:
        ours: nodes by name.
        theirs: nodes of the same neurons; those that are absent get no unit.
        spiking: layers, and the nodes that stand for them.
    """
    units = {}
    for layer, node in spiking.items():
        if node not in ours or node not in theirs:
            continue
        own, other = threshold_of(ours[node]), threshold_of(theirs[node])
        if own.size not in (1, other.size):
            continue
        own = np.broadcast_to(own if own.size == 1 else own.reshape(other.shape), other.shape)
        ratio = np.divide(own, other, out=np.ones_like(other), where=other != 0.0)
        if not np.array_equal(ratio, np.ones_like(ratio)):
            units[layer] = torch.from_numpy(ratio)
    return units


def threshold_of(node: nir.NIRNode) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The threshold of a spiking node, float64."""
    value = node.threshold if hasattr(node, "threshold") else node.v_threshold
    return np.asarray(value, dtype=np.float64)


def _without_composites(notes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(note for note in notes if "feedback Scale" not in note)
