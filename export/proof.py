"""Export of a finished run with its proof, and the proof of any file against a run."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import nir

from mpo_snn.data import load_dataset
from mpo_snn.data.class_names import refuse_other_classes
from mpo_snn.data.dataset import Dataset
from mpo_snn.data.settings import DataSettings
from mpo_snn.errors import DataError, ExportError
from mpo_snn.graph.metadata import GraphMetadata, read_metadata, write_metadata
from mpo_snn.graph.read import read_graph
from mpo_snn.training.rundir import Run

from .compare import compare
from .equivalence import Equivalence
from .file_metadata import Told, file_metadata
from .for_reader import (
    FileUnits,
    ReaderExport,
    export_for_reader,
    meaning_of,
    reader_named,
    units_between,
    units_of_file,
)
from .nir_export import DEFAULT_DT, Export, export_nir
from .nir_file import write_nir
from .parameters import RELATIVE_TOLERANCE, have_same_form, parameter_differences
from .same_neurons import in_units_of_threshold
from .sources import GraphSource, NetworkSource
from .threshold_rounding import FLOAT32_STEP, rounding_note


@dataclass(frozen=True)
class Proof:
    """What a comparison of a file with what it should be has shown.

    Attributes:
        equivalence: the measured part.
        disagreements: settings and parameters that differ, one line each.
        notes: what was not compared, and why, one line each.
        with_membranes: whether membranes were compared; of a recording they are not.
    """

    equivalence: Equivalence
    disagreements: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    with_membranes: bool = True

    @property
    def is_equal(self) -> bool:
        """The verdict."""
        return self.equivalence.is_equal and not self.disagreements

    @property
    def reservations(self) -> tuple[str, ...]:
        """What the verdict does not cover, and why, one line each."""
        silent = ", ".join(repr(name) for name in self.equivalence.silent_layers)
        if not silent:
            return self.notes
        proven = "of what spikes do there nothing was proven, only membranes. Prove it on samples"
        if not self.with_membranes:
            proven = "nothing was proven there. Record samples"
        return (
            *self.notes,
            f"no neuron of {silent} fires on this data: {proven} that make it fire.",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        record = self.equivalence.to_dict()
        lists = {"disagreements": list(self.disagreements), "notes": list(self.reservations)}
        return {**record, "equal": self.is_equal, **lists}

    def summary(self) -> dict[str, Any]:
        """The record without its lists of single neurons, small enough to travel in the file."""
        record = self.to_dict()
        for result in self.equivalence.results:
            for layer in record[result.precision]["layers"]:
                del layer["listed_roots"]
        return record


def export_run(run: Run, dt: float = DEFAULT_DT, plain_reset: bool = False) -> Export:
    """Export the network of a finished run."""
    return export_nir(run.load_network().network, run.step_shape, dt, plain_reset)


def export_run_for_chip(run: Run, dt: float = DEFAULT_DT) -> Export:
    """Export the network of a finished run for deployment (`export_nir`, `chip`)."""
    return export_nir(run.load_network().network, run.step_shape, dt, chip=True)


def metadata_of(
    run: Run, export: Export, dt: float, nir_version: str, reader: str | None = None
) -> GraphMetadata:
    """What the graph of a run cannot say itself; arguments as in `file_metadata`."""
    about, recipe = run.about, run.recipe
    told = Told(
        timesteps=recipe.timesteps,
        encoding=recipe.encoding,
        readout=recipe.readout,
        dataset=recipe.data.name,
        data=recipe.data.shown,
        input_scaling=about.input_scaling,
        class_names=about.class_names,
        reset=recipe.neuron.reset,
        reset_timing=recipe.neuron.reset_timing,
    )
    return file_metadata(export, dt, nir_version, told, reader)


def prove_export(
    run: Run, export: ReaderExport, metadata: GraphMetadata, samples: int | None = None
) -> tuple[Proof, GraphMetadata]:
    """Write the graph, read it back, compare it with the network on the test split.

    Args:
        run: what was trained.
        export: what is proved.
        metadata: of the graph.
        samples: how many of the split at most, every class in its share; None takes all.

    Returns:
        the proof, and the metadata with its summary.
    """
    graph = as_read(export.graph, metadata)
    proof = prove_run(run, graph, title_of(export), samples=samples)
    return proof, replace(metadata, equivalence=proof.summary())


def as_read(graph: nir.NIRGraph, metadata: GraphMetadata) -> nir.NIRGraph:
    """A graph with its metadata, as it comes back from a file."""
    write_metadata(graph, metadata)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.nir"
        write_nir(path, graph, metadata.nir_version)
        return read_graph(path)


def title_of(export: ReaderExport) -> str:
    """What to call an export that is proved."""
    whose = "" if export.reader.name == "nir" else f", as run by {export.reader.title}"
    return f"exported graph{whose}"


def prove_run(
    run: Run,
    graph: nir.NIRGraph,
    title: str,
    data: str | None = None,
    path: str | None = None,
    samples: int | None = None,
) -> Proof:
    """Compare a graph with the network of a run, on the test split of its data.

    A file that was written for a reader is compared as that reader runs it.

    Args:
        run: what is true.
        graph: what is tested, with metadata of ours; for other files there is `prove_foreign`.
        title: what to call the graph.
        data: another data set's name.
        path: where the data is, if not where the run found it.
        samples: how many of the split at most, every class in its share; None takes all.

    Raises:
        ExportError: if the graph has no metadata, or the two cannot be compared.
    """
    metadata = read_metadata(graph)
    if metadata is None:
        raise ExportError(f"cannot compare {title}: it has no metadata of this project.")
    recipe, dt = run.recipe, metadata.dt
    dataset = load_test_split(run, recipe.timesteps, data, path, samples)
    expected, found = _expected(run, graph, metadata, dt)
    source = GraphSource(meaning_of(graph), dt, dict(metadata.spiking), title, found.units)
    equivalence = compare(
        NetworkSource(run.load_network(), str(run.path)),
        source,
        dataset.test_x,
        recipe.timesteps,
        encoding=recipe.encoding,
        readout=recipe.readout,
        data=dataset.description,
        rounding=found.rounding,
    )
    disagreements = settings_differences(run, metadata)
    if metadata.neurons is not None:
        disagreements += _neuron_differences(run, metadata)
    if expected is not None and have_same_form(expected, graph):
        disagreements += _parameter_differences(expected, graph, dt, found)
    notes = () if found.rounding is None else (rounding_note(title, found.rounding),)
    return Proof(equivalence, tuple(disagreements), notes)


def load_test_split(
    run: Run, timesteps: int, data: str | None, path: str | None, samples: int | None
) -> Dataset:
    """The test split of a run's data, or of the data that is named; arguments as in `prove_run`.

    Raises:
        DataError: if samples have another shape than those of the run, or its data names other
            classes than it did.
    """
    recipe = run.recipe
    settings = recipe.data if data in (None, recipe.data.name) else DataSettings(data, path)
    settings = settings if path is None else replace(settings, path=path)
    dataset = load_dataset(settings.limited(samples), timesteps, train=False)
    if dataset.input_shape != tuple(run.about.input_shape):
        raise DataError(
            f"cannot run {run.path} on {dataset.name}: its samples have shape"
            f" {dataset.input_shape}, the run takes {tuple(run.about.input_shape)}."
        )
    if dataset.name == recipe.data.name:
        refuse_other_classes(dataset.name, dataset.class_names, run.about.class_names)
    return dataset


def _expected(
    run: Run, graph: nir.NIRGraph, metadata: GraphMetadata, dt: float
) -> tuple[nir.NIRGraph | None, FileUnits]:
    """The graph that the run exports for the file's reader, and the units of the file's membranes.

    None if the run has no form for that reader: the file is then that of another network.
    """
    if metadata.neurons is not None:
        export = export_run_for_chip(run, dt)
        units = units_between(export.graph.nodes, graph.nodes, metadata.spiking)
        return export.graph, FileUnits(units, own=False, rounding=None)
    plain = export_run(run, dt)
    reader = reader_named(metadata.reader or "nir")
    try:
        for_reader = export_for_reader(plain, reader, dt)
    except ExportError:
        return None, units_of_file(plain, None, graph, metadata)
    return for_reader.graph, units_of_file(plain, for_reader, graph, metadata)


def _parameter_differences(
    expected: nir.NIRGraph, graph: nir.NIRGraph, dt: float, found: FileUnits
) -> list[str]:
    """Parameters that differ, one line each; none where a file states the same in other units."""
    lines = parameter_differences(expected, graph)
    if not lines or not found.own:
        return lines
    rounded = 0.0 if found.rounding is None else FLOAT32_STEP
    ours, theirs = (in_units_of_threshold(one, dt) for one in (expected, graph))
    same = have_same_form(ours, theirs) and not parameter_differences(
        ours, theirs, RELATIVE_TOLERANCE + rounded
    )
    return [] if same else lines


def _neuron_differences(run: Run, metadata: GraphMetadata) -> list[str]:
    """Nodes that a file makes do something else than the run's neurons, one line each."""
    behaviour = export_run_for_chip(run).behaviour
    expected = {name: asdict(one) for name, one in behaviour.items()}
    found = metadata.neurons or {}
    return [
        f"metadata: neurons of '{name}' are {found.get(name)}, the run has {expected.get(name)}."
        for name in sorted({*expected, *found})
        if expected.get(name) != found.get(name)
    ]


def settings_differences(run: Run, metadata: GraphMetadata) -> list[str]:
    """Settings in which the metadata of a file differs from the run, one line each."""
    recipe = run.recipe
    pairs = {
        "timesteps": (recipe.timesteps, metadata.timesteps),
        "encoding": (recipe.encoding, metadata.encoding),
        "readout": (recipe.readout, metadata.readout),
    }
    return [
        f"metadata: {key} is {found}, the run has {expected}."
        for key, (expected, found) in pairs.items()
        if expected != found
    ]
