"""The proof of one NIR graph against another, whoever wrote them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import nir

from mpo_snn.data.dataset import Dataset
from mpo_snn.data.for_graph import load_for_graph
from mpo_snn.errors import RecipeError
from mpo_snn.graph.metadata import (
    GraphMetadata,
    known_timestep,
    known_timesteps,
    read_metadata,
)
from mpo_snn.graph.shapes import common_input_shape, input_shape
from mpo_snn.inference import Inference, resolve_inference

from .compare import compare
from .equivalence import Equivalence
from .float32_files import Tolerance, allowed, rounding_of_file
from .for_reader import meaning_of
from .pairing import PairedSource, pair_layers
from .parameters import have_same_form, parameter_differences
from .proof import Proof
from .recording import Replayable
from .replay import TOLERANCE
from .sources import GraphSource
from .threshold_rounding import ThresholdRounding, rounding_note


@dataclass(frozen=True)
class GraphInput:
    """What two graphs are run on; None is left to what the first one's file says.

    Attributes:
        data: name of the data set.
        path: where it is.
        samples: how many of the split at most, every class in its share; None takes all.
        timesteps: T.
        dt: timestep in seconds of the files that do not state theirs.
        encoding: how a sample becomes input over time.
        readout: how outputs become a prediction; files that do not say take the mean.
        normalize: as `data.normalize` in a recipe.
        scale: what the samples are multiplied by.
    """

    data: str | None = None
    path: str | None = None
    samples: int | None = None
    timesteps: int | None = None
    dt: float | None = None
    encoding: str | None = None
    readout: str | None = None
    normalize: bool = False
    scale: float = 1.0


def prove_graph(
    first: nir.NIRGraph, second: nir.NIRGraph, titles: tuple[str, str], given: GraphInput
) -> Proof:
    """Compare two graphs: layers that belong together (`pairing`), outputs, and parameters.

    A file that was written for a reader is compared as that reader runs it; one that was rounded to
    float32 is held to what that precision explains (`float32_files`).

    Args:
        first: what is true.
        second: what is tested.
        titles: what to call them.
        given: what to run them on.

    Raises:
        RecipeError: naming all that neither the first file nor the caller says.
        ExportError: if the two cannot be compared.
    """
    metadata, given = read_metadata(first), completed(given, first)
    steps = [timestep_of(graph, given.dt) for graph in (first, second)]
    shape = common_input_shape(input_shape(first), input_shape(second))
    inference, dataset = load_input(metadata, given, steps[0], shape, titles[0])
    if steps[1] is None:
        raise RecipeError(f"'{titles[1]}' does not state its timestep; please give --dt SECONDS.")
    if given.dt is not None and given.dt not in steps:
        raise RecipeError("both files state their timestep: leave out --dt.")
    one, other = (
        graph_source(graph, dt, title)
        for graph, dt, title in zip((first, second), steps, titles, strict=True)
    )
    tolerance, rounded = allowed((first, second), titles)
    same_dialect = metadata is not None and _same_dialect(metadata, read_metadata(second))
    rounding, told = (None, ()) if same_dialect else _rounding((first, second), titles)
    equivalence, notes = compare_paired(one, other, inference, dataset, tolerance, rounding)
    notes = (*notes, *rounded, *told)
    same_form = have_same_form(first, second)
    differences = parameter_differences(first, second) if same_form else []
    if same_dialect:
        return Proof(equivalence, tuple(differences), notes)
    # Weights, gain and threshold may be scaled against each other, and every spike be the same.
    notes = (*notes, *(f"{line} The spikes decide." for line in differences))
    return Proof(equivalence, (), notes)


def completed(given: GraphInput, graph: nir.NIRGraph) -> GraphInput:
    """What is given, with the timesteps that a file of another program states."""
    if given.timesteps is not None or read_metadata(graph) is not None:
        return given
    return replace(given, timesteps=known_timesteps(graph))


def load_input(
    metadata: GraphMetadata | None,
    given: GraphInput,
    dt: float | None,
    shape: tuple[int, ...],
    title: str,
) -> tuple[Inference, Dataset]:
    """How two files are run and on what: by the first one's metadata, and what is given.

    Args:
        metadata: of the first file.
        given: what goes before it.
        dt: timestep of the first file in seconds, if it is known.
        shape: of one sample as the first file takes it.
        title: what to call it.

    Raises:
        RecipeError: naming all that neither says.
    """
    inference = resolve_inference(
        metadata,
        dataset=given.data,
        timesteps=given.timesteps,
        dt=dt,
        encoding=given.encoding,
        readout=given.readout or (None if metadata else "mean"),
        what=f"'{title}'",
    )
    dataset = load_for_graph(
        inference,
        metadata,
        shape,
        path=given.path,
        samples=given.samples,
        normalize=given.normalize,
        scale=given.scale,
    )
    return inference, dataset


def compare_paired(
    one: Replayable,
    other: Replayable,
    inference: Inference,
    dataset: Dataset,
    tolerance: Tolerance = TOLERANCE,
    rounding: ThresholdRounding | None = None,
    same_volts: bool = False,
) -> tuple[Equivalence, tuple[str, ...]]:
    """Compare the layers that belong together; returns what the pairing has to say, too.

    Membranes are compared in units of each one's own thresholds or, where the second's recordings
    are in volt of the first (`same_volts`), both in units of the first's.
    """
    pairing = pair_layers(one.shapes(), other.shapes())
    whole = not pairing.lonely
    equivalence = compare(
        PairedSource(one, {name: name for name in pairing.pairs}, whole),
        PairedSource(other, pairing.pairs, whole, one.thresholds() if same_volts else None),
        dataset.test_x,
        inference.timesteps,
        encoding=inference.encoding,
        readout=inference.readout,
        data=f"{dataset.description} ({dataset.input_scaling})",
        tolerance=tolerance,
        rounding=rounding,
    )
    return equivalence, pairing.notes


def graph_source(graph: nir.NIRGraph, dt: float | None, title: str) -> GraphSource:
    """A graph as the reader that it is written for runs it."""
    assert dt is not None, "a timestep that was asked for"
    metadata = read_metadata(graph)
    spiking = dict(metadata.spiking) if metadata else None
    return GraphSource(meaning_of(graph), dt, spiking, title)


def _rounding(
    graphs: tuple[nir.NIRGraph, nir.NIRGraph], titles: tuple[str, str]
) -> tuple[ThresholdRounding | None, tuple[str, ...]]:
    """What follows from rounded thresholds in either file, and what to say of it."""
    found = {t: rounding_of_file(graph) for graph, t in zip(graphs, titles, strict=True)}
    rounded = {title: one for title, one in found.items() if one is not None}
    notes = tuple(rounding_note(title, one) for title, one in rounded.items())
    return next(iter(rounded.values()), None), notes


def _same_dialect(first: GraphMetadata, second: GraphMetadata | None) -> bool:
    """Whether both files are ours and state equal networks with equal parameters."""
    return second is not None and (first.dt, first.reader) == (second.dt, second.reader)


def timestep_of(graph: nir.NIRGraph, given: float | None) -> float | None:
    """The timestep in seconds that a file states, else the one given."""
    stated = known_timestep(graph)
    return given if stated is None else stated
