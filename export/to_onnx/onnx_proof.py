"""The proof of an ONNX model: against a run, a NIR graph or another model.

A file in float32 runs in float32. Where it has the form, and the parameters, of the model that its
counterpart exports, the same model in float64 is run as well, on a few samples: in float64 there
is no rounding to hide behind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import nir
from onnx import ModelProto

from mpo_snn.errors import ExportError, RecipeError
from mpo_snn.export.compare import compare
from mpo_snn.export.graph_proof import GraphInput, compare_paired, graph_source, load_input
from mpo_snn.export.nir_export import DEFAULT_DT
from mpo_snn.export.proof import (
    Proof,
    export_run,
    load_test_split,
    metadata_of,
    settings_differences,
)
from mpo_snn.export.recording import Replayable
from mpo_snn.export.sources import NetworkSource
from mpo_snn.graph.metadata import GraphMetadata, known_timestep, read_metadata
from mpo_snn.graph.shapes import common_input_shape, input_shape
from mpo_snn.inference import Inference
from mpo_snn.training.rundir import Run
from mpo_snn.unroll import Unrolled

from .build import PRECISIONS, build_onnx
from .difference import have_same_form, parameter_differences
from .layout import write_properties
from .onnx_file import OnnxFile, onnx_bytes, open_onnx
from .onnx_source import OnnxSource

Expected = Callable[[str], ModelProto | None]
"""The model that should be in a file, in the precision that is named, if there is one."""


@dataclass(frozen=True)
class OnnxExport:
    """A run as an ONNX model.

    Attributes:
        model: the model, with its proof in its metadata.
        proof: of the model.
    """

    model: ModelProto
    proof: Proof


def export_onnx(
    run: Run,
    timesteps: int | None = None,
    precision: str = "float32",
    dt: float = DEFAULT_DT,
    samples: int | None = None,
) -> OnnxExport:
    """Build the model of a finished run, in memory, and prove it on the test split.

    Args:
        run: what was trained.
        timesteps: how many timesteps in a row; None gives one timestep with states.
        precision: of the model, float32 or float64.
        dt: timestep in seconds.
        samples: how many of the split at most, every class in its share; None takes all.

    Raises:
        ExportError: if the network has no form in NIR, from which the model is built.
    """
    export = export_run(run, dt)
    metadata = replace(metadata_of(run, export, dt, ""), notes=())
    if timesteps is not None:
        metadata = replace(metadata, timesteps=timesteps)
    model = _built(export.graph, export.spiking, metadata, timesteps, metadata)(precision)
    file = open_onnx(ModelProto.FromString(onnx_bytes(model)))
    proof = prove_onnx(run, file, "exported model", samples=samples)
    write_properties(model, file.layout, replace(metadata, equivalence=proof.summary()))
    return OnnxExport(model, proof)


def prove_onnx(
    run: Run,
    file: OnnxFile,
    title: str,
    data: str | None = None,
    path: str | None = None,
    samples: int | None = None,
) -> Proof:
    """Compare a model with the network of a run, on the test split of its data.

    Args:
        run: what is true.
        file: what is tested.
        title: what to call it.
        data: another data set's name.
        path: where the data is, if not where the run found it.
        samples: how many of the split at most, every class in its share; None takes all.
    """
    dt = DEFAULT_DT if file.metadata is None else file.metadata.dt
    timesteps = file.layout.timesteps or run.recipe.timesteps
    export = export_run(run, dt)
    metadata = metadata_of(run, export, dt, "")
    source, disagreements, notes = _source(
        file,
        title,
        run.recipe.readout,
        str(run.path),
        _built(export.graph, export.spiking, metadata, file.layout.timesteps),
    )
    if timesteps != run.recipe.timesteps:
        notes.append(f"run over {timesteps} timesteps, trained with {run.recipe.timesteps}.")
    if file.metadata is not None:
        found = file.metadata
        if found.timesteps == file.layout.timesteps:
            found = replace(found, timesteps=run.recipe.timesteps)
        disagreements = [*settings_differences(run, found), *disagreements]
    dataset = load_test_split(run, timesteps, data, path, samples)
    equivalence = compare(
        NetworkSource(Unrolled(run.load_network().network, timesteps), str(run.path)),
        source,
        dataset.test_x,
        timesteps,
        encoding=run.recipe.encoding,
        readout=run.recipe.readout,
        data=dataset.description,
    )
    return Proof(equivalence, tuple(disagreements), tuple(notes))


def prove_onnx_pair(
    first: nir.NIRGraph | OnnxFile, second: OnnxFile, titles: tuple[str, str], given: GraphInput
) -> Proof:
    """Compare a model with a NIR graph or another model.

    Args:
        first: what is true.
        second: what is tested.
        titles: what to call them.
        given: what to run them on; the rest is left to what the first one's file says.

    Raises:
        RecipeError: naming all that neither the first file nor the caller says.
        ExportError: if the two models differ in precision or in the number of their timesteps.
    """
    given = replace(given, timesteps=_timesteps(first, second, titles, given.timesteps))
    one: Replayable
    expected: Expected
    dt: float | None
    stated = DEFAULT_DT if isinstance(first, OnnxFile) else known_timestep(first)
    if given.dt is not None and stated not in (None, given.dt):
        raise RecipeError("both files hold their timestep: leave out --dt.")
    if isinstance(first, OnnxFile):
        dt, metadata, shape = DEFAULT_DT, first.metadata, first.input_shape
    else:
        dt, metadata, shape = known_timestep(first), read_metadata(first), input_shape(first)
        dt = given.dt if dt is None else dt
    shape = common_input_shape(shape, second.input_shape)
    inference, dataset = load_input(metadata, given, dt, shape, titles[0])
    if isinstance(first, OnnxFile):
        one = OnnxSource(first, titles[0], inference.readout)
        expected = {first.precision: first.model}.get
    else:
        one = graph = graph_source(first, inference.dt, titles[0])
        expected = _built(graph.graph, graph.spiking, inference, second.layout.timesteps)
    other, disagreements, notes = _source(second, titles[1], inference.readout, titles[0], expected)
    equivalence, pairing = compare_paired(one, other, inference, dataset)
    return Proof(equivalence, tuple(disagreements), (*pairing, *notes))


def _timesteps(
    first: nir.NIRGraph | OnnxFile, second: OnnxFile, titles: tuple[str, str], given: int | None
) -> int | None:
    """The number of timesteps that is given, or that a model is made for."""
    attempt = f"cannot compare {titles[0]} with {titles[1]}"
    numbers = {given, second.layout.timesteps}
    if isinstance(first, OnnxFile):
        numbers.add(first.layout.timesteps)
        if first.precision != second.precision:
            raise ExportError(f"{attempt}: one is in float32, the other in float64.")
    numbers.discard(None)
    if len(numbers) > 1:
        told = " and ".join(str(n) for n in sorted(n for n in numbers if n is not None))
        raise ExportError(f"{attempt}: {told} timesteps are asked for, or what one is made for.")
    return numbers.pop() if numbers else None


def _source(
    file: OnnxFile, title: str, readout: str, expected_of: str, expected: Expected
) -> tuple[OnnxSource, list[str], list[str]]:
    """The model ready to run, the parameters in which it differs, and what was left out."""
    model = expected(file.precision)
    if model is None or not have_same_form(model, file.model):
        note = (
            f"the model has another form than that of {expected_of}, so that its parameters are not"
            f" compared, and it is run in {file.precision} alone."
        )
        return OnnxSource(file, title, readout), [], [note]
    differences = parameter_differences(model, file.model)
    (other,) = (precision for precision in PRECISIONS if precision != file.precision)
    twin = None if differences else expected(other)
    return OnnxSource(file, title, readout, twin), differences, []


def _built(
    graph: nir.NIRGraph,
    spiking: dict[str, str],
    run_as: GraphMetadata | Inference,
    timesteps: int | None,
    metadata: GraphMetadata | None = None,
) -> Callable[[str], ModelProto]:
    """How the model of a graph is built, with all but the precision settled."""
    return lambda precision: build_onnx(
        graph,
        run_as.dt,
        spiking,
        timesteps=timesteps,
        encoding=run_as.encoding,
        readout=run_as.readout,
        precision=precision,
        metadata=metadata,
    )
