"""What a NIR graph does not say by itself: timestep, encoding, readout, where it comes from.

NIR is continuous in time and knows neither input coding nor class names. They are written into the
graph's own metadata, which survives `nir.write` and `nir.read` (that of some nodes does not), under
three keys: "dt" in seconds, "timesteps", and "mpo_snn", a JSON object with everything.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

import nir
import numpy as np

from mpo_snn.errors import GraphError
from mpo_snn.readout import READOUTS

from .neuron_behaviour import NeuronBehaviour

KEY: Final = "mpo_snn"
PENDING: Final = "mpo_snn_beyond_nir"
"""Marks a graph whose neurons do what NIR cannot state, until its metadata says it."""
OWN_TIME_CONSTANTS: Final = frozenset({"sinabs", "rockpool"})
"""Readers whose files state time constants that are not those of an Euler step."""


@dataclass(frozen=True)
class GraphMetadata:
    """How a graph is to be run and what is known about it.

    Args:
        dt: the timestep in seconds that its time constants were written for, > 0.
        timesteps: the number of steps of one inference, >= 1.
        encoding: how a sample becomes a sequence ("direct": the sample itself in every step).
        readout: how the output sequence becomes one value per class (`mpo_snn.readout`).
        dataset: the name of the data set it was trained on, if any.
        input_scaling: how raw data becomes input, for a human reader.
        reset: the reset kind of its neurons.
        reset_timing: when they are reset.
        class_names: the classes in the order of the output.
        spiking: names of the network's neuron modules and of the nodes that stand for them.
        folds: what was folded into the weights on the way, a line each.
        notes: what else a reader should know, a line each.
        writer: the program and version that wrote the graph.
        nir_version: the version of NIR that it is written for.
        equivalence: a summary of the comparison with the network, if there was one.
        data: settings of the data set that decide its samples (`mpo_snn.data.settings.SHOWN`).
        reader: the program that the graph is written for, which may read it otherwise than NIR
            does (`mpo_snn.export.readers`); None for NIR itself.
        neurons: per spiking node what it does beyond NIR (`mpo_snn.graph.neuron_behaviour`); None
            where all are as NIR says.

    Raises:
        GraphError: if a value has the wrong type or is out of range.
    """

    dt: float
    timesteps: int
    encoding: str
    readout: str
    dataset: str | None
    input_scaling: str
    reset: str
    reset_timing: str
    class_names: tuple[str, ...]
    spiking: dict[str, str]
    folds: tuple[str, ...]
    notes: tuple[str, ...]
    writer: str
    nir_version: str
    equivalence: dict[str, Any] | None = field(default=None)
    data: dict[str, Any] | None = field(default=None)
    reader: str | None = field(default=None)
    neurons: dict[str, Any] | None = field(default=None)

    def __post_init__(self) -> None:
        """Check types and ranges."""
        findings = [
            f"{name} is {getattr(self, name)!r}, expected {expected}"
            for name, (is_right, expected) in _FIELDS.items()
            if not is_right(getattr(self, name))
        ]
        if findings:
            raise GraphError("wrong metadata", findings)


def write_metadata(graph: nir.NIRGraph, metadata: GraphMetadata) -> None:
    """Put the metadata into the graph, in place of what stood under the same keys."""
    graph.metadata.pop(PENDING, None)
    graph.metadata["dt"] = float(metadata.dt)
    graph.metadata["timesteps"] = int(metadata.timesteps)
    graph.metadata[KEY] = json.dumps(asdict(metadata), allow_nan=False)


def read_metadata(graph: nir.NIRGraph) -> GraphMetadata | None:
    """Return the metadata of a graph, None if it was not written here.

    Raises:
        GraphError: if it was written here, but something in it is missing, unknown or wrong.
    """
    if KEY not in graph.metadata:
        return None
    attempt = f"cannot read the metadata {KEY!r} of the graph"
    try:
        content = json.loads(graph.metadata[KEY])
    except (TypeError, ValueError, RecursionError) as error:
        raise GraphError(f"{attempt}: it is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise GraphError(f"{attempt}: it is no JSON object")
    names = {item.name for item in fields(GraphMetadata)}
    findings = [f"{name!r} is missing" for name in sorted(names - content.keys() - _MAY_BE_ABSENT)]
    findings += [f"{name!r} is unknown" for name in sorted(content.keys() - names)]
    for name in ("dt", "timesteps"):
        outside = graph.metadata.get(name)
        if name in content and not _same_number(outside, content[name]):
            beside = outside.tolist() if hasattr(outside, "tolist") else outside
            findings.append(f"{name} is {content[name]!r}, but beside it stands {beside!r}")
    if findings:
        raise GraphError(attempt, findings)
    for name in ("class_names", "folds", "notes"):
        if isinstance(content[name], list):
            content[name] = tuple(content[name])
    try:
        return GraphMetadata(**content)
    except GraphError as error:
        raise GraphError(attempt, error.findings) from error


def behaviour_of(graph: nir.NIRGraph) -> dict[str, NeuronBehaviour]:
    """Return what the spiking nodes of a graph do beyond NIR, by node; empty where NIR says all.

    Raises:
        GraphError: if the metadata is wrong.
    """
    metadata = read_metadata(graph)
    found = {} if metadata is None else metadata.neurons or {}
    return {name: NeuronBehaviour(**values) for name, values in found.items()}


def refuse_beyond_nir(graph: nir.NIRGraph, attempt: str) -> None:
    """Refuse a graph whose metadata makes neurons do what NIR cannot state.

    Args:
        graph: with or without metadata.
        attempt: what was attempted, e.g. `cannot import 'model.nir'`.

    Raises:
        GraphError: naming the first such node.
    """
    beyond = [name for name, one in behaviour_of(graph).items() if not one.is_plain]
    if beyond:
        raise GraphError(
            f"{attempt}: it is written for chips, and NIR cannot state what its neurons do"
            f" ('{beyond[0]}', {len(beyond)} in all): they subtract within the step, fire several"
            " times in it or have a lowest membrane. mpo-evaluate and mpo-verify run it; else take"
            " the run that it was made from, or export your network without chip=True."
        )


def known_timestep(graph: nir.NIRGraph) -> float | None:
    """Return the timestep in seconds that the graph's metadata states, None if it states none.

    It may be that of another program, as long as it is a positive number called "dt".
    """
    dt = np.asarray(graph.metadata.get("dt"))
    if dt.size == 1 and dt.dtype.kind in "iuf" and math.isfinite(dt.item()) and dt.item() > 0:
        return float(dt.item())
    return None


def known_timesteps(graph: nir.NIRGraph) -> int | None:
    """Return the number of timesteps that the graph's metadata states, None if it states none.

    It may be that of another program, as long as it is a whole number above 0 called "timesteps".
    """
    steps = np.asarray(graph.metadata.get("timesteps"))
    if steps.size == 1 and steps.dtype.kind in "iuf" and steps.item() >= 1:
        return int(steps.item()) if float(steps.item()).is_integer() else None
    return None


def _same_number(value: Any, expected: Any) -> bool:
    array = np.asarray(value)
    return array.size == 1 and array.dtype.kind in "iuf" and bool(array.item() == expected)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_lines(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(line, str) for line in value)


def _is_number(value: Any, kinds: type | tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _is_names(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) for item in value.items() for name in item
    )


def _is_behaviour(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and NeuronBehaviour.is_right(one) for name, one in value.items()
    )


_TEXT = (_is_text, "text")
_LINES = (_is_lines, "a tuple of texts")
_RECORD = (lambda record: record is None or isinstance(record, dict), "a mapping or None")
_MAY_BE_ABSENT: Final = {"equivalence", "data", "reader", "neurons"}
_FIELDS: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "dt": (
        lambda dt: _is_number(dt, (int, float)) and 0 < dt < math.inf,
        "a positive number of seconds",
    ),
    "timesteps": (lambda steps: _is_number(steps, int) and steps >= 1, "an integer >= 1"),
    "encoding": _TEXT,
    "readout": (lambda readout: readout in READOUTS, f"one of {READOUTS}"),
    "dataset": (lambda name: name is None or _is_text(name), "text or None"),
    "input_scaling": _TEXT,
    "reset": _TEXT,
    "reset_timing": _TEXT,
    "class_names": _LINES,
    "spiking": (_is_names, "a mapping of texts to texts"),
    "folds": _LINES,
    "notes": _LINES,
    "writer": _TEXT,
    "nir_version": _TEXT,
    "equivalence": _RECORD,
    "data": _RECORD,
    "reader": (lambda name: name is None or _is_text(name), "text or None"),
    "neurons": (
        lambda nodes: nodes is None or _is_behaviour(nodes),
        "a mapping of nodes to reset, most_spikes and lower, or None",
    ),
}
