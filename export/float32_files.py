"""How far membranes of two files may differ: further where a file was rounded to float32 before."""

from __future__ import annotations

from collections.abc import Mapping

import nir
import numpy as np
import torch

from mpo_snn.graph.inline import inline
from mpo_snn.graph.metadata import read_metadata

from .foldings.above_threshold import raise_thresholds
from .parameters import has_float32_weights
from .readers import READERS
from .replay import SINGLE, TOLERANCE

Tolerance = Mapping[torch.dtype, float]


def allowed(
    first: nir.NIRGraph, second: nir.NIRGraph, titles: tuple[str, str]
) -> tuple[Tolerance, tuple[str, ...]]:
    """The tolerance of a comparison by precision, and why it is not the usual one.

    Wider is what a file of another program allows whose weights are numbers of float32, and one
    for a reader that fires at equality, whose thresholds are the next float32 above (`raise_
    thresholds`), where those of the first are no float32.

    Args:
        first: what is true.
        second: what is tested.
        titles: what to call them.
    """
    notes = [
        single_note(title)
        for graph, title in zip((first, second), titles, strict=True)
        if read_metadata(graph) is None and has_float32_weights(graph)
    ]
    metadata = read_metadata(second)
    reader = READERS.get(metadata.reader or "") if metadata is not None else None
    if reader is not None and raise_thresholds in reader.dialect and _has_finer_thresholds(first):
        notes.append(
            f"{reader.title} takes thresholds in float32, so membranes are held to"
            f" {SINGLE[torch.float64]:g} of the threshold in float64 too."
        )
    return (SINGLE if notes else TOLERANCE), tuple(notes)


def single_note(title: str) -> str:
    """That a file is held to `SINGLE`, for who reads the proof."""
    return (
        f"the weights of {title} are numbers of float32, so its membranes are held to"
        f" {SINGLE[torch.float64]:g} of the threshold in float64 too."
    )


def _has_finer_thresholds(graph: nir.NIRGraph) -> bool:
    """Whether some threshold is no number of float32."""
    nodes = inline(graph).nodes.values()
    values = [np.asarray(n.v_threshold) for n in nodes if hasattr(n, "v_threshold")]
    return any(not np.array_equal(value, value.astype(np.float32)) for value in values)
