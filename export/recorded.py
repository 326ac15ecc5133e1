"""What another program or a chip fired, recorded in an `.npz`, against what a NIR file says.

The archive has `input`, (time, samples, *features), as the first layer took it; `output`, (time,
samples, *outputs), its spikes or membranes; and any spiking layer under its name in the file,
(time, samples, *features), spikes or their number. A layer that was not recorded runs freely, so a
difference that begins there cannot be traced to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nir
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mpo_snn.data.npz_archive import read_arrays
from mpo_snn.errors import DataError, RecipeError
from mpo_snn.graph.metadata import read_metadata
from mpo_snn.graph.simulate import Simulator

from .compare import compare
from .for_reader import meaning_of
from .graph_proof import timestep_of
from .proof import Proof
from .recording import Recording, core_shape
from .sources import GraphSource

INPUT, OUTPUT = "input", "output"
MOST_SPIKES = 2**15 - 1
"""Of a neuron in a step, as int16 holds them."""


@dataclass(frozen=True)
class Recorded:
    """A recording.

    Attributes:
        title: what messages call it.
        input: (time, samples, *features), float32.
        output: (time, samples, *outputs), float32.
        spikes: by name of the layer, (time, samples, *features), bool, or their number, int16.
    """

    title: str
    input: Tensor
    output: Tensor
    spikes: Mapping[str, Tensor]


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
    notes = ["no membranes were recorded: of those the file's own are shown."]
    free = ", ".join(f"'{name}'" for name in nodes if name not in recorded.spikes)
    if free:
        notes.append(f"not recorded: {free}. What differs there first cannot be traced to it.")
    return Proof(equivalence, (), tuple(notes))


def read_recorded(path: Path, simulator: Simulator, nodes: Mapping[str, str]) -> Recorded:
    """A recording of a graph's layers; an output that a layer fires is that layer's spikes, too.

    Args:
        path: of the archive.
        simulator: of the graph.
        nodes: layer -> node that spikes.

    Raises:
        DataError: if it is damaged or does not fit the graph, with all findings.
    """
    if not path.is_file():
        raise DataError(f"cannot read the recording '{path}': there is no such file.")
    x, output = read_arrays(path, (INPUT, OUTPUT))
    with np.load(path, allow_pickle=False) as archive:
        names = [name for name in archive.files if name not in (INPUT, OUTPUT)]
    arrays = dict(zip(names, read_arrays(path, tuple(names)), strict=True))
    at_the_end = [a for a, b in simulator.flat.edges if b in simulator.flat.outputs]
    for name, node in nodes.items():
        if at_the_end == [node]:
            arrays.setdefault(name, output)
    found = [
        f"there is no spiking layer '{name}', allowed are {', '.join(nodes)}, {INPUT}, {OUTPUT}."
        for name in names
        if name not in nodes
    ]
    shapes = {
        INPUT: simulator.input_shape,
        OUTPUT: simulator.output_shape,
        **{name: simulator.node_shapes[node] for name, node in nodes.items()},
    }
    for name, array in {INPUT: x, OUTPUT: output, **arrays}.items():
        found += _misfits(name, array, shapes.get(name), x.shape[:2])
    found += [line for name, array in arrays.items() if (line := _no_spikes(name, array))]
    if found:
        raise DataError(f"cannot use the recording '{path}'", found)
    spikes = {n: _spikes(arrays[n]) for n in nodes if n in arrays}
    return Recorded(str(path), _real(x), _real(output), spikes)


def _misfits(
    name: str,
    array: NDArray[np.generic],
    shape: tuple[int, ...] | None,
    steps_and_samples: tuple[int, ...],
) -> list[str]:
    """What is wrong with an array as such, one line each."""
    if array.dtype.kind not in "biuf":
        return [f"'{name}' is {array.dtype}, allowed are numbers and bool."]
    if array.ndim < 3 or 0 in array.shape:
        return [f"'{name}' has shape {array.shape}, wanted is (time, samples, *features)."]
    if array.shape[:2] != steps_and_samples:
        return [
            f"'{name}' has {array.shape[0]} timesteps of {array.shape[1]} samples, '{INPUT}'"
            f" {steps_and_samples[0]} of {steps_and_samples[1]}."
        ]
    if shape is not None and core_shape(array.shape[2:]) != core_shape(shape):
        return [f"'{name}' has shape {array.shape[2:]} at one timestep, the file says {shape}."]
    if not np.isfinite(array.astype(np.float64)).all():
        return [f"'{name}' has values that are NaN or infinite."]
    return []


def _no_spikes(name: str, array: NDArray[np.generic]) -> str:
    """Why an array is no spikes of a layer; "" if it is."""
    if array.dtype.kind not in "biuf":
        return ""
    values = array.astype(np.float64)
    if bool(((values >= 0) & (values <= MOST_SPIKES) & (values == np.round(values))).all()):
        return ""
    return f"'{name}' has values that are no numbers of spikes: record spikes, not membranes."


def _spikes(array: NDArray[np.generic]) -> Tensor:
    counts = torch.from_numpy(array.astype(np.int16))
    return counts if bool((counts > 1).any()) else counts.bool()


def _real(array: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))
