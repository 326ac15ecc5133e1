"""What another program or a chip fired, recorded in an `.npz`, against what a NIR file says.

The archive has `input`, (time, samples, *features), as the first layer took it; `output`, (time,
samples, *outputs), its spikes or membranes; and any spiking layer under its name in the file,
(time, samples, *features), spikes or their number. A layer that was not recorded runs freely, so a
difference that begins there cannot be traced to it.
"""

from __future__ import annotations

from pathlib import Path

import nir
import torch
from torch import Tensor

from mpo_snn.errors import RecipeError
from mpo_snn.graph.metadata import read_metadata
from mpo_snn.graph.simulate import Simulator

from .compare import compare
from .for_reader import meaning_of
from .graph_proof import timestep_of
from .proof import Proof
from .recorded_archive import Recorded, read_recorded
from .recording import Recording
from .sources import GraphSource


class RecordedSource:
    """A recording as a `Source`: it gives what was recorded, whatever precision is asked for.

    No membranes are recorded: those of the graph stand in for them, driven by the recorded spikes.
    They show how near to its threshold a neuron was that the two do not agree on.
    """

    def __init__(self, recorded: Recorded, graph: GraphSource) -> None:
        """Keep both."""
        self.title, self._recorded, self._graph = recorded.title, recorded, graph

    def layers(self) -> list[str]:
        """See `Source.layers`."""
        return self._graph.layers()

    def limit(self, dtype: torch.dtype) -> int | None:
        """None of float64, which programs rarely compute in: their rounding would be damage."""
        return 0 if dtype == torch.float64 else None

    def run(self, x: Tensor, dtype: torch.dtype) -> Recording:
        """See `Source.run`; all samples at once."""
        bare = Recording(dict(self._recorded.spikes), {}, self._recorded.output)
        v = self._graph.replay(x, dtype, Recording(bare.spikes, bare.spikes, bare.output)).v
        return Recording(bare.spikes, v, bare.output)


def prove_recorded(graph: nir.NIRGraph, title: str, path: Path, dt: float | None) -> Proof:
    """Compare a file with what was recorded, in float32, as its reader runs it.

    Args:
        graph: what is tested.
        title: what to call it.
        path: of the recording.
        dt: timestep in seconds of a file that does not state its own.

    Raises:
        RecipeError: if neither says the timestep, or both.
        DataError: if the recording is damaged or does not fit the file, with all findings.
    """
    step = timestep_of(graph, dt)
    if step is None:
        raise RecipeError(f"'{title}' does not state its timestep; please give --dt SECONDS.")
    if dt is not None and dt != step:
        raise RecipeError(f"'{title}' states its timestep: leave out --dt.")
    metadata, meant = read_metadata(graph), meaning_of(graph)
    simulator = Simulator(meant, step, dtype=torch.float64)
    nodes = {name: name for name in simulator.spiking}
    if metadata is not None:
        nodes = dict(metadata.spiking)
    recorded = read_recorded(path, simulator, nodes)
    source = GraphSource(meant, step, {name: nodes[name] for name in recorded.spikes}, title)
    equivalence = compare(
        RecordedSource(recorded, source),
        source,
        recorded.input.transpose(0, 1),
        len(recorded.input),
        encoding="frames",
        readout="mean" if metadata is None else metadata.readout,
        data=f"the input of '{path}'",
        batch_size=recorded.input.shape[1],
    )
    notes = ["a recording has no membranes: spikes and outputs are compared, nothing else."]
    free = ", ".join(f"'{name}'" for name in nodes if name not in recorded.spikes)
    if free:
        notes.append(f"not recorded: {free}. What differs there first cannot be traced to it.")
    return Proof(equivalence, (), tuple(notes), with_membranes=False)
