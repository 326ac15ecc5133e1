"""The proof of another program's file against a run: by spikes, whatever its names and volts."""

from __future__ import annotations

import nir

from mpo_snn.errors import RecipeError
from mpo_snn.graph.metadata import known_timestep
from mpo_snn.training.rundir import Run

from .compare import compare
from .float32_files import single_note
from .pairing import PairedSource, RelativeSource, pair_layers
from .parameters import has_float32_weights, have_same_form, parameter_differences
from .proof import Proof, export_run, load_test_split
from .replay import SINGLE, TOLERANCE
from .sources import GraphSource, NetworkSource


def prove_foreign(
    run: Run,
    graph: nir.NIRGraph,
    title: str,
    data: str | None = None,
    path: str | None = None,
    samples: int | None = None,
    dt: float | None = None,
) -> Proof:
    """Compare a graph without metadata of ours with the network of a run, with the run's settings.

    Args:
        run: what is true.
        graph: what is tested.
        title: what to call the graph.
        data: another data set's name.
        path: where the data is, if not where the run found it.
        samples: how many of the split at most, every class in its share; None takes all.
        dt: timestep in seconds, where the file does not state it.

    Raises:
        RecipeError: if nothing says the timestep.
        ExportError: if the two cannot be compared.
    """
    stated = known_timestep(graph)
    dt = dt if stated is None else stated
    if dt is None:
        raise RecipeError(f"'{title}' does not state its timestep; please give --dt SECONDS.")
    recipe, export = run.recipe, export_run(run, dt)
    own = GraphSource(export.graph, dt, export.spiking)  # for the shapes and volts of the network
    other = GraphSource(graph, dt, None, title)
    pairing = pair_layers(own.shapes(), other.shapes())
    whole = not pairing.lonely
    network = NetworkSource(run.load_network(), str(run.path))
    dataset = load_test_split(run, recipe.timesteps, data, path, samples)
    same_form = have_same_form(export.graph, graph)
    differences = parameter_differences(export.graph, graph) if same_form else []
    rounded = has_float32_weights(graph)
    equivalence = compare(
        RelativeSource(network, {name: name for name in pairing.pairs}, own.thresholds(), whole),
        PairedSource(other, pairing.pairs, whole),
        dataset.test_x,
        recipe.timesteps,
        encoding=recipe.encoding,
        readout=recipe.readout,
        data=dataset.description,
        tolerance=SINGLE if rounded else TOLERANCE,
    )
    told = [f"{line} The spikes decide." for line in differences]
    if rounded:
        told.append(single_note(title))
    return Proof(equivalence, (), (*pairing.notes, *told))
