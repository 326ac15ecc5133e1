"""Writes a NIR graph to a file, for the current nir package or for readers that pin nir 1.0.4.

nir 1.0.4 refuses a file whose neurons carry `v_reset`. For it that dataset is left out, which is
only possible where it is zero; by that version's documentation the same file then means a reset by
subtraction, so the caller has to say so.
"""

from __future__ import annotations

import io
from pathlib import Path

import h5py
import nir
import numpy as np

from mpo_snn.errors import ExportError
from mpo_snn.files import write_file
from mpo_snn.graph.metadata import PENDING

NIR_VERSIONS = ("1.0.8", "1.0.4")


def write_nir(path: str | Path, graph: nir.NIRGraph, nir_version: str = "1.0.8") -> None:
    """Write a graph as a whole or not at all.

    Raises:
        ExportError: if the version is unknown or cannot state the graph; if it was made for chips
            and has no metadata, without which it would be another network.
        OutputError: if the disk refuses.
    """
    if nir_version not in NIR_VERSIONS:
        raise ExportError(
            f"cannot write for nir {nir_version}: choose one of {', '.join(NIR_VERSIONS)}."
        )
    if PENDING in graph.metadata:
        raise ExportError(
            f"cannot write '{path}': its neurons subtract within the step, fire several times in it"
            " or have a lowest membrane, which NIR cannot state and the file would lose."
            " export_network(network, path, data, chip=True) writes it with what is needed."
        )
    buffer = io.BytesIO()
    nir.write(buffer, graph)
    if nir_version == "1.0.4":
        _drop_v_reset(buffer)
    write_file(path, buffer.getvalue())


def legacy_note(reset: str) -> str:
    """What a file for nir 1.0.4 leaves open, for a network with this `neuron.reset`."""
    network = "subtracts too" if reset == "subtract" else "resets to zero"
    return (
        "written for nir 1.0.4, without v_reset: that version's documentation reads LIF, IF and"
        f" CubaLIF as reset by subtraction, the network {network}."
    )


def _drop_v_reset(buffer: io.BytesIO) -> None:
    findings: list[str] = []
    with h5py.File(buffer, "r+") as file:
        _walk(file["node"], "", findings)
        del file["version"]
        file.create_dataset("version", data="1.0.4", dtype=h5py.string_dtype())
    if findings:
        raise ExportError("cannot write for nir 1.0.4, which has no v_reset", findings)


def _walk(group: h5py.Group, name: str, findings: list[str]) -> None:
    if "v_reset" in group:
        if np.any(group["v_reset"][()]):
            findings.append(f"node '{name}' resets to other values than 0.")
        del group["v_reset"]
    if "nodes" in group:
        for child in group["nodes"]:
            _walk(group["nodes"][child], child, findings)
