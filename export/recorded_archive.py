"""Reading a recording: names first, then what the arrays claim, and values only of what fits."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mpo_snn.data.npz_headers import ArrayHeader, entries_of, open_npz, read_header, read_values
from mpo_snn.errors import DataError
from mpo_snn.graph.simulate import Simulator

from .recorded_checks import (
    INPUT,
    OUTPUT,
    memory_findings,
    name_findings,
    shape_findings,
    value_finding,
)


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


def read_recorded(path: Path, simulator: Simulator, nodes: Mapping[str, str]) -> Recorded:
    """A recording of a graph's layers; an output that a layer fires is that layer's spikes, too.

    Args:
        path: of the archive.
        simulator: of the graph.
        nodes: layer -> node that spikes.

    Raises:
        DataError: if it is damaged or does not fit the graph, with all findings.
    """
    layers = {name: node for name, node in nodes.items() if name not in (INPUT, OUTPUT)}
    shapes = {
        INPUT: simulator.input_shape,
        OUTPUT: simulator.output_shape,
        **{name: simulator.node_shapes[node] for name, node in layers.items()},
    }
    at_the_end = [a for a, b in simulator.flat.edges if b in simulator.flat.outputs]
    with open_npz(path, "recording") as archive:
        entries = entries_of(archive)
        fired_by = {name: name for name in layers}
        for name, node in nodes.items():
            if at_the_end == [node] and (name == OUTPUT or name not in entries):
                fired_by[OUTPUT] = name
        found = name_findings({name: len(them) for name, them in entries.items()}, [*layers])
        known = {n: entries[n][0] for n in shapes if len(entries.get(n, ())) == 1}
        arrays = _read(archive, known, shapes, fired_by, found)
    if found:
        raise DataError(f"cannot use the recording '{path}'", found)
    fired = {fired_by[name]: array for name, array in arrays.items() if name in fired_by}
    spikes = {name: _spikes(fired[name]) for name in nodes if name in fired}
    return Recorded(str(path), _real(arrays[INPUT]), _real(arrays[OUTPUT]), spikes)


def _read(
    archive: zipfile.ZipFile,
    entries: Mapping[str, zipfile.ZipInfo],
    shapes: Mapping[str, tuple[int, ...]],
    fired_by: Mapping[str, str],
    found: list[str],
) -> dict[str, NDArray[np.generic]]:
    """The arrays that nothing is wrong with; of the others nothing but their header is read.

    Args:
        archive: what they lie in.
        entries: by array, input and output first.
        shapes: at one timestep, as the graph says, by array.
        fired_by: the layer whose spikes an array holds.
        found: what is wrong is added to it.
    """
    headers: dict[str, ArrayHeader] = {}
    for name, entry in entries.items():
        try:
            headers[name] = read_header(archive, name, entry)
        except DataError as error:
            found.append(str(error))
    misfits = shape_findings(headers, shapes)
    found += [line for lines in misfits.values() for line in lines]
    fitting = {name: header for name, header in headers.items() if name not in misfits}
    if too_large := memory_findings(fitting):
        found += too_large
        return {}
    arrays = {}
    for name in fitting:
        try:
            arrays[name] = read_values(archive, name, entries[name])
        except DataError as error:
            found.append(str(error))
            continue
        if (line := value_finding(name, arrays[name], fired_by.get(name))) is not None:
            found.append(line)
    return arrays


def _spikes(array: NDArray[np.generic]) -> Tensor:
    counts = torch.from_numpy(array.astype(np.int16))
    return counts if bool((counts > 1).any()) else counts.bool()


def _real(array: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))
