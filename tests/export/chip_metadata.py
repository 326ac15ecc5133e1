"""The metadata of a graph that was exported for a chip."""

from __future__ import annotations

from dataclasses import asdict

import nir

from mpo_snn.export.nir_export import Export
from mpo_snn.graph.metadata import GraphMetadata, write_metadata


def as_of_chip(
    export: Export, dt: float, timesteps: int, encoding: str, readout: str
) -> nir.NIRGraph:
    """The graph of an export, whose neurons subtract, with all that its file would say."""
    metadata = GraphMetadata(
        dt=dt,
        timesteps=timesteps,
        encoding=encoding,
        readout=readout,
        dataset=None,
        input_scaling="",
        reset="subtract",
        reset_timing="step",
        class_names=("a", "b", "c"),
        spiking=export.spiking,
        folds=export.folds,
        notes=export.notes,
        writer="test",
        nir_version="1.0.8",
        neurons={name: asdict(one) for name, one in export.behaviour.items()},
    )
    write_metadata(export.graph, metadata)
    return export.graph
