"""How far membranes of two files may differ: further where a file was rounded to float32 before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import nir
import torch

from mpo_snn.graph.metadata import read_metadata

from .for_reader import raises_thresholds
from .parameters import has_float32_weights
from .readers import READERS
from .replay import SINGLE, TOLERANCE
from .threshold_rounding import ThresholdRounding

Tolerance = Mapping[torch.dtype, float]


def allowed(
    graphs: Sequence[nir.NIRGraph], titles: Sequence[str]
) -> tuple[Tolerance, tuple[str, ...]]:
    """The tolerance of a comparison by precision, and why it is not the usual one.

    Wider is what a file of another program allows whose weights are numbers of float32.

    Args:
        graphs: what is compared.
        titles: what to call them.
    """
    notes = [
        single_note(title)
        for graph, title in zip(graphs, titles, strict=True)
        if read_metadata(graph) is None and has_float32_weights(graph)
    ]
    return (SINGLE if notes else TOLERANCE), tuple(notes)


def rounding_of_file(graph: nir.NIRGraph) -> ThresholdRounding | None:
    """What follows from the thresholds of a file if its reader takes the next float32 above each.

    Which number stood there before the file does not say: membranes are measured in what it states.
    """
    metadata = read_metadata(graph)
    reader = READERS.get(metadata.reader or "") if metadata is not None else None
    if metadata is None or reader is None or not raises_thresholds(reader):
        return None
    return ThresholdRounding(units=True, subtracts=metadata.reset == "subtract")


def single_note(title: str) -> str:
    """That a file is held to `SINGLE`, for who reads the proof."""
    return (
        f"the weights of {title} are numbers of float32, so its membranes are held to"
        f" {SINGLE[torch.float64]:g} of the threshold in float64 too."
    )
