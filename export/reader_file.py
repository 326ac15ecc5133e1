"""A proven export on the disk: the file, the record of its proof, what its reader imports."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import nir

from mpo_snn.files import check_file, write_file
from mpo_snn.graph.metadata import GraphMetadata, write_metadata

from .nir_file import write_nir
from .proof import Proof
from .readers import Reader


def record_beside(output: Path) -> Path:
    """Where the record of a file's proof lies."""
    return output.with_suffix(".equivalence.json")


def check_output(output: Path) -> None:
    """Refuse, before anything is proved, a file that could not be written with its record.

    Raises:
        OutputError: if the disk refuses.
    """
    for file in (output, record_beside(output)):
        check_file(file)


def write_reader_file(
    output: Path, graph: nir.NIRGraph, metadata: GraphMetadata, proof: Proof, reader: Reader
) -> None:
    """Write a graph with its metadata, its record, and the modules that its reader imports.

    Raises:
        ExportError: if the version of nir cannot state the graph.
        OutputError: if the disk refuses.
    """
    write_metadata(graph, metadata)
    write_nir(output, graph, metadata.nir_version)
    write_file(record_beside(output), json.dumps(proof.to_dict(), indent=1) + "\n")
    for module in reader.beside:
        code = files("mpo_snn.export.readers").joinpath(module).read_text(encoding="utf-8")
        write_file(output.with_name(module), code)
