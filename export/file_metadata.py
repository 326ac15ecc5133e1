"""What goes into a file beside its graph: how it is run, what was folded, who may read it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import mpo_snn
from mpo_snn.graph.metadata import GraphMetadata

from .nir_export import Export
from .nir_file import legacy_note


@dataclass(frozen=True)
class Told:
    """What a graph cannot say itself of the network that it was made from.

    Attributes:
        timesteps: of one inference.
        encoding: how a sample becomes a sequence.
        readout: how outputs become a prediction.
        dataset: name of its data set; None where it has none.
        data: settings of the data set that decide its samples.
        input_scaling: how raw data becomes input, in words.
        class_names: in the order of the outputs.
        reset: of its neurons.
        reset_timing: of its neurons.
    """

    timesteps: int
    encoding: str
    readout: str
    dataset: str | None
    data: dict[str, Any] | None
    input_scaling: str
    class_names: tuple[str, ...]
    reset: str
    reset_timing: str


def file_metadata(
    export: Export, dt: float, nir_version: str, told: Told, reader: str | None = None
) -> GraphMetadata:
    """The metadata of a file, without the summary of its proof.

    Args:
        export: what is written.
        dt: timestep in seconds that it is written for.
        nir_version: of the nir package that reads it.
        told: of the network.
        reader: name of the reader that it is for; None for NIR itself.
    """
    resets = any(hasattr(node, "v_reset") for node in export.graph.nodes.values())
    legacy = nir_version == "1.0.4" and resets
    return GraphMetadata(
        dt=dt,
        timesteps=told.timesteps,
        encoding=told.encoding,
        readout=told.readout,
        dataset=told.dataset,
        input_scaling=told.input_scaling,
        reset=told.reset,
        reset_timing=told.reset_timing,
        class_names=told.class_names,
        spiking=export.spiking,
        folds=export.folds,
        notes=(*export.notes, legacy_note(told.reset)) if legacy else export.notes,
        writer=f"mpo-snn {mpo_snn.__version__}",
        nir_version=nir_version,
        equivalence=None,
        data=told.data,
        reader=reader,
        neurons={name: asdict(one) for name, one in export.behaviour.items()} or None,
    )
