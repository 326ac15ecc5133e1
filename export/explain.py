"""What each reader would do with a NIR file, whoever wrote it."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import h5py
import nir

from mpo_snn.errors import ExportError, GraphError
from mpo_snn.graph.check import check_timestep
from mpo_snn.graph.geometry import convolution_window
from mpo_snn.graph.kinds import kind_of
from mpo_snn.graph.metadata import known_timestep, read_metadata, refuse_beyond_nir
from mpo_snn.graph.read import read_graph

from .foldings.flow import Flow
from .foldings.plain_convolution import CONVOLUTIONS, write_plain_convolutions
from .for_reader import read_back, stated
from .nir_export import DEFAULT_DT
from .readers import READERS, Reader
from .readers.finding import Finding, merged

_NODES = re.compile("'([^']+)'")
Exact = Literal["exact", "exact after a step"]
Verdict = Literal[Exact, "different", "not at all"]


@dataclass(frozen=True)
class Explanation:
    """What one reader does with the file.

    Attributes:
        reader: which.
        verdict: against what the file means.
        findings: how it differs or why it fails, and notes.
        after: code to run after loading where the verdict asks for it.
        own_file: verdict on the file that `mpo-export --reader NAME` writes of the same network,
            where this one is not exact; None where there is none.
    """

    reader: Reader
    verdict: Verdict
    findings: tuple[Finding, ...]
    after: str
    own_file: Exact | None


@dataclass(frozen=True)
class Explained:
    """What all readers do with a file.

    Attributes:
        dt: timestep in seconds that its time constants were taken for.
        dt_from: "given", "the file" or "assumed".
        written_for: title of the reader that the file names, "" for none.
        readers: one each.
    """

    dt: float
    dt_from: str
    written_for: str
    readers: tuple[Explanation, ...]


def explain_file(path: str | Path, dt: float | None = None) -> Explained:
    """Tell for each reader whether it runs a file as the file means.

    A file means what NIR says; one that was written here for a reader means what that reader runs.

    Args:
        path: NIR file of any program.
        dt: timestep in seconds; None takes the file's, 1e-4 where it states none.

    Raises:
        GraphError: if the file cannot be read, does not fit the timestep, or was written for a
            reader with another one.
    """
    graph = read_graph(path)
    refuse_beyond_nir(graph, f"cannot tell what readers do with '{path}'")
    metadata = read_metadata(graph)
    known = metadata.dt if metadata else known_timestep(graph)
    step = next(value for value in (dt, known, DEFAULT_DT) if value is not None)
    meant_for = None if metadata is None or metadata.reader in (None, "nir") else metadata
    if dt is not None and meant_for is not None and dt != meant_for.dt:
        raise GraphError(
            f"cannot take '{path}' for dt = {dt:g} s: it was written for {meant_for.reader} with"
            f" {meant_for.dt:g} s, so leave the timestep out."
        )
    if meant_for is None:
        check_timestep(graph, step)
    flow = Flow.of(graph, step) if meant_for is None else stated(graph, meant_for)
    meant = flow if meant_for is None else read_back(graph, meant_for)
    file_faults = _file_faults(path, graph)
    return Explained(
        dt=step,
        dt_from="given" if dt is not None else "the file" if known is not None else "assumed",
        written_for=READERS[str(meant_for.reader)].title if meant_for else "",
        readers=tuple(
            _explained(reader, flow, meant, file_faults)
            for reader in READERS.values()
            if reader.name not in ("portable", "nir")
        ),
    )


def _explained(
    reader: Reader, flow: Flow, meant: Flow, file_faults: dict[str, list[Finding]]
) -> Explanation:
    faults = [*file_faults["all"], *file_faults.get(reader.nir_version, [])]
    found = merged([*faults, *reader.findings(flow, meant)])
    severities = {f.severity for f in found}
    after = reader.after(flow.stands_for)
    verdict: Verdict = "exact after a step" if after else "exact"
    if "fails" in severities:
        verdict = "not at all"
        found = [f for f in found if f.severity == "fails"]
    elif "different" in severities:
        verdict = "different"
    if verdict.startswith("exact"):
        return Explanation(reader, verdict, tuple(found), after, None)
    own_file, obstacles = _own_file(reader, meant)
    named = "".join(f.where for f in found)
    found += [
        Finding("", f"a file of its own is refused: {line}", "note")
        for nodes, line in obstacles
        if not any(f"'{node}'" in named for node in nodes)
    ]
    if own_file is not None:
        step = ", with a step after loading" if own_file == "exact after a step" else ""
        helps = f"a file of its own: mpo-export --reader {reader.name}, exact{step}"
        found = [replace(f, help="") for f in found]
        found[0] = replace(found[0], help=helps)
    return Explanation(reader, verdict, tuple(found), "", own_file)


def _own_file(reader: Reader, meant: Flow) -> tuple[Exact | None, list[tuple[list[str], str]]]:
    """Verdict on the file for this reader that the exporter makes of what the file means.

    Where it makes none, what stands in its way: nodes, and a line.
    """
    try:
        folded = reader.fold(write_plain_convolutions(meant))
    except ExportError as error:
        return None, [(_NODES.findall(line.partition(": ")[0]), line) for line in error.findings]
    if _fault_of_nir(folded):
        return None, []
    return ("exact after a step" if reader.after(folded.stands_for) else "exact"), []


def _file_faults(path: str | Path, graph: nir.NIRGraph) -> dict[str, list[Finding]]:
    """What stops a file before any reader sees its graph, by version of nir."""
    faults: dict[str, list[Finding]] = {"all": [], "1.0.4": []}
    if any(kind_of(node) == "NIRGraph" for node in graph.nodes.values()):
        faults["all"].append(
            Finding("", "nested graphs were not measured", "fails", "write it without subgraphs")
        )
    fault = _fault_of_nir(graph)
    if fault:
        faults["all"].append(Finding("", f"nir refuses to read it: {fault}", "fails", _help(graph)))
    with h5py.File(path) as file:
        if _stores_v_reset(file["node"]):
            faults["1.0.4"].append(
                Finding(
                    "",
                    "nir 1.0.4, which it pins, refuses files with v_reset",
                    "fails",
                    "a file of its own, without that field",
                )
            )
    return faults


def _fault_of_nir(graph: nir.NIRGraph | Flow) -> str:
    """Why nir itself refuses a graph; "" where it does not."""
    try:
        nir.NIRGraph(copy.deepcopy(dict(graph.nodes)), list(graph.edges), type_check=True)
    except Exception as error:  # whatever nir's own check raises stops every reader
        return " ".join(str(error).split()) or type(error).__name__
    return ""


def _help(graph: nir.NIRGraph) -> str:
    """What helps where nir refuses a graph: plain convolutions, if it has none but others."""
    windows = [convolution_window(n) for n in graph.nodes.values() if kind_of(n) in CONVOLUTIONS]
    plain = all(one.groups == 1 and len(set(one.kernel)) == 1 for one in windows)
    return "" if plain else "dense and square convolutions, as mpo-export --reader nir writes them"


def _stores_v_reset(group: h5py.Group) -> bool:
    return "v_reset" in group or any(
        _stores_v_reset(item) for item in group.values() if isinstance(item, h5py.Group)
    )
