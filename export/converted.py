"""A NIR file of anybody's, in the form that is exact in one reader, with its proof."""

from __future__ import annotations

from dataclasses import dataclass, replace

import nir

from mpo_snn.errors import RecipeError
from mpo_snn.graph.metadata import (
    GraphMetadata,
    read_metadata,
    refuse_beyond_nir,
)
from mpo_snn.graph.shapes import input_shape

from .file_metadata import Told, file_metadata
from .float32_files import allowed
from .foldings.flow import Flow
from .foldings.plain_convolution import write_plain_convolutions
from .foldings.timestep import with_timestep
from .for_reader import ReaderExport, export_for_reader, meaning_of, reader_named
from .graph_proof import (
    GraphInput,
    compare_paired,
    completed,
    graph_source,
    load_input,
    timestep_of,
)
from .nir_export import Export
from .proof import Proof, as_read, title_of
from .sources import GraphSource
from .threshold_rounding import rounding_note


@dataclass(frozen=True)
class Converted:
    """What a file became.

    Attributes:
        export: the graph for the reader.
        metadata: what its file is to say.
        proof: that it fires the spikes of the file that it was made from.
    """

    export: ReaderExport
    metadata: GraphMetadata
    proof: Proof


def convert_graph(
    graph: nir.NIRGraph, title: str, reader_name: str, given: GraphInput
) -> Converted:
    """A graph in the form that is exact in a reader, compared with what it was.

    Its time constants stay what they are in units of the timestep, which becomes the reader's where
    the reader has one of its own.

    Args:
        graph: with metadata of ours or without.
        title: what to call it.
        reader_name: for whom.
        given: what to run both on; what the file says itself may be left out.

    Raises:
        RecipeError: naming all that neither the file nor the caller says.
        GraphError: if the graph was made for a chip.
        ExportError: with every reason why this reader cannot run it.
    """
    reader = reader_named(reader_name)
    refuse_beyond_nir(graph, f"cannot write '{title}' for {reader.title}")
    given = completed(given, graph)
    metadata, dt = read_metadata(graph), timestep_of(graph, given.dt)
    if given.dt not in (None, dt):
        raise RecipeError(f"'{title}' states its timestep: leave out --dt.")
    inference, dataset = load_input(metadata, given, dt, input_shape(graph), title)
    source = graph_source(graph, inference.dt, title)
    flow = with_timestep(Flow.of(meaning_of(graph), inference.dt), reader.dt or inference.dt)
    flow = write_plain_convolutions(flow)
    plain = Export(graph=flow.graph(), spiking=dict(source.spiking), folds=flow.folds, notes=())
    export = export_for_reader(plain, reader, flow.dt)
    told = Told(
        timesteps=inference.timesteps,
        encoding=inference.encoding,
        readout=inference.readout,
        dataset=inference.dataset,
        data=None if dataset.settings is None else dataset.settings.shown,
        input_scaling=dataset.input_scaling,
        class_names=dataset.class_names,
        **_reset(export, metadata),
    )
    described = file_metadata(export, export.dt, reader.nir_version, told, reader.name)
    written = as_read(export.graph, described)
    called, spiking = title_of(export), dict(described.spiking)
    test = GraphSource(meaning_of(written), export.dt, spiking, called, export.units)
    tolerance, notes = allowed((graph,), (title,))
    if export.rounding is not None:
        notes = (*notes, rounding_note(called, export.rounding))
    equivalence, pairing = compare_paired(
        source, test, inference, dataset, tolerance, export.rounding, same_volts=True
    )
    proof = Proof(equivalence, (), (*pairing, *notes))
    return Converted(export, replace(described, equivalence=proof.summary()), proof)


def _reset(export: ReaderExport, metadata: GraphMetadata | None) -> dict[str, str]:
    """What the neurons do after a spike, in the words of a recipe."""
    if export.stands_for is not None:
        return {"reset": "subtract", "reset_timing": export.stands_for}
    if metadata is not None:
        return {"reset": metadata.reset, "reset_timing": metadata.reset_timing}
    resets = any(hasattr(node, "v_reset") for node in export.graph.nodes.values())
    return {"reset": "zero" if resets else "none", "reset_timing": "step"}
