"""What `mpo-deploy` is given: a run, or a NIR file, ours or foreign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpo_snn.cli.command import UsageError
from mpo_snn.cli.left_beside import prefix_of
from mpo_snn.deploy.read_layers import EVENTS
from mpo_snn.files import NIR_SUFFIXES

if TYPE_CHECKING:
    import nir

    from mpo_snn.graph.metadata import GraphMetadata
    from mpo_snn.graph.neuron_behaviour import NeuronBehaviour
    from mpo_snn.inference import Inference

_DATA, _TIMESTEPS, _DT = "--data NAME", "--timesteps N", "--dt SECONDS"
_ENCODING = f"--encoding {'|'.join(EVENTS)}"
_READOUT = "--readout spike_count"
_OF_A_CHECK = (_DT, _ENCODING)
"""What the rules of a chip ask for: leaks are per timestep, and inputs whole numbers of events."""


@dataclass(frozen=True)
class Source:
    """A network to deploy.

    Attributes:
        path: of the run or file.
        graph: its NIR graph.
        metadata: what is known of it; None for a foreign file.
        behaviour: what its neurons do beyond NIR.
        inference: how it is run.
        data_path: where its data is; None where nobody said.
        missing: options that a deployment needs and a check does not, which nobody gave.
        is_of_run: whether a recipe stands behind it, so that settings of recipes are advice.
        notes: what the user says otherwise than the file, a line each.
    """

    path: Path
    graph: nir.NIRGraph
    metadata: GraphMetadata | None
    behaviour: Mapping[str, NeuronBehaviour]
    inference: Inference
    data_path: str | None
    missing: tuple[str, ...] = ()
    is_of_run: bool = True
    notes: tuple[str, ...] = ()

    def folder(self, target: str) -> Path:
        """Where a deployment goes unless somebody says."""
        home = self.path if self.path.is_dir() else self.path.parent
        return home / f"{prefix_of(self.path)}deploy-{target}"


def read_source(args: Any) -> Source:
    """The network that the options of `mpo-deploy` name.

    Raises:
        RunError, GraphError, ExportError, RecipeError: if it cannot be read.
    """
    path = Path(args.source)
    if path.is_dir():
        return _from_run(path, args)
    if path.suffix not in NIR_SUFFIXES and path.exists():
        raise UsageError(f"cannot deploy '{path}': expected a run directory or a .nir file.")
    return _from_file(path, args)


def _from_run(path: Path, args: Any) -> Source:
    from mpo_snn.export.nir_export import DEFAULT_DT
    from mpo_snn.export.proof import export_run_for_chip, metadata_of
    from mpo_snn.inference import resolve_inference
    from mpo_snn.training.rundir import open_run

    run = open_run(path)
    for option in ("timesteps", "encoding", "readout", "reset"):
        if getattr(args, option) is not None:
            raise UsageError(f"--{option} is for a foreign file; a run says it: leave it out.")
    if args.input_scale != 1.0:
        raise UsageError("--input-scale is for a foreign file; a run says it: leave it out.")
    dt = DEFAULT_DT if args.dt is None else args.dt
    export = export_run_for_chip(run, dt)
    metadata = metadata_of(run, export, dt, "1.0.8")
    inference = resolve_inference(metadata, dataset=args.data)
    where = args.data_path or (run.recipe.data.path if args.data is None else None)
    return Source(path, export.graph, metadata, export.behaviour, inference, where)


def _from_file(path: Path, args: Any) -> Source:
    from mpo_snn.data.named_by_content import name_by_content
    from mpo_snn.export.for_reader import meaning_of
    from mpo_snn.graph.metadata import (
        behaviour_of,
        known_timestep,
        known_timesteps,
        read_metadata,
    )
    from mpo_snn.graph.read import read_graph
    from mpo_snn.inference import resolve_inference
    from mpo_snn.training.rundir import RECIPE, data_path_beside

    graph = read_graph(path)
    metadata = read_metadata(graph)
    dt = known_timestep(graph) if args.dt is None else args.dt
    timesteps = known_timesteps(graph) if args.timesteps is None else args.timesteps
    made_for = None if metadata is None else metadata.dataset
    data = args.data or made_for or name_by_content(args.data_path)
    missing = _missing(args, metadata, data, timesteps, dt)
    needed = [flag for flag in missing if not args.check or flag in _OF_A_CHECK]
    if needed:
        raise UsageError(f"'{path}' does not say how to run it; please give {', '.join(needed)}.")
    inference = resolve_inference(
        metadata,
        dataset="" if _DATA in missing else data,  # what is missing plays no part in a check
        timesteps=1 if _TIMESTEPS in missing else timesteps,
        dt=dt,
        encoding=args.encoding,
        readout="spike_count" if _READOUT in missing else args.readout,
    )
    where = args.data_path or data_path_beside(str(path), inference.dataset)
    behaviour = behaviour_of(graph)
    graph = meaning_of(graph)
    if args.reset is not None:
        behaviour = _all_reset(graph, args.reset)
    of_run = any((home / RECIPE).is_file() for home in path.resolve().parents[:2])
    notes = () if metadata is None else _overridden(inference, metadata)
    return Source(path, graph, metadata, behaviour, inference, where, tuple(missing), of_run, notes)


def _overridden(inference: Inference, metadata: GraphMetadata) -> tuple[str, ...]:
    """What goes otherwise than the file says, because the command line goes before it."""
    return tuple(
        f"{name} is {getattr(inference, name)}, as --{name} says; the file says {said}"
        for name in ("timesteps", "dt", "encoding", "readout")
        if (said := getattr(metadata, name)) != getattr(inference, name)
    )


def _missing(
    args: Any,
    metadata: GraphMetadata | None,
    data: str | None,
    timesteps: int | None,
    dt: float | None,
) -> list[str]:
    """What neither the file nor the user says; each with what a chip takes."""
    if metadata is not None:
        return [] if data else [_DATA]
    wanted = {
        _DATA: data,
        _TIMESTEPS: timesteps,
        _DT: dt,
        _ENCODING: args.encoding,
        _READOUT: args.readout,
    }
    return [flag for flag, value in wanted.items() if value is None]


def _all_reset(graph: nir.NIRGraph, reset: Any) -> dict[str, NeuronBehaviour]:
    """Every node with a reset of its own, as the user says it is."""
    from mpo_snn.graph.inline import inline
    from mpo_snn.graph.neuron_behaviour import NeuronBehaviour

    return {
        name: NeuronBehaviour(reset)
        for name, node in inline(graph).nodes.items()
        if hasattr(node, "v_reset")
    }
